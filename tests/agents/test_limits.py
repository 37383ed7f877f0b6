"""Failed sign-ins: counted where a wiped Redis cannot forgive them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from allauth.core import context
from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.test import Client, RequestFactory
from django.utils import timezone

from agents import limits
from agents.accounts import CodeForm
from agents.models import SignInFailure
from tests.cast import PASSWORD, Cast

pytestmark = pytest.mark.django_db


def tries(email: str, password: str, *, address: str = "203.0.113.9"):  # type: ignore[no-untyped-def]
    return Client().post("/accounts/login/", {"login": email, "password": password}, REMOTE_ADDR=address)


def test_an_account_that_failed_too_often_waits_and_is_told_how_long(cast: Cast) -> None:
    for n in range(limits.MOST_PER_ACCOUNT):
        assert "not correct" in tries(cast.agent.email, f"wrong {n}", address=f"203.0.113.{n}").content.decode()
    refused = tries(cast.agent.email.upper(), PASSWORD, address="198.51.100.7")
    assert refused.status_code == 200
    assert "Try again in 5 minutes" in refused.content.decode()
    assert tries(cast.teammate.email, PASSWORD).status_code == 302, "another account is not concerned"


def test_wiping_the_cache_forgives_nothing(cast: Cast) -> None:
    for n in range(limits.MOST_PER_ACCOUNT):
        tries(cast.agent.email, f"wrong {n}")
    cache.clear()
    assert "Too many" in tries(cast.agent.email, PASSWORD).content.decode()


def test_the_wait_ends_by_itself(cast: Cast) -> None:
    for n in range(limits.MOST_PER_ACCOUNT):
        tries(cast.agent.email, f"wrong {n}")
    cache.clear()
    SignInFailure.objects.update(at=timezone.now() - limits.WINDOW - timedelta(seconds=1))
    assert tries(cast.agent.email, PASSWORD).status_code == 302


def test_an_address_that_tries_many_accounts_waits_too(cast: Cast) -> None:
    for n in range(limits.MOST_PER_ADDRESS):
        with limits.attempt(f"nobody{n}@helpdesk.example", address="2001:db8::1", now=timezone.now()):
            pass
    with pytest.raises(ValidationError), limits.attempt(cast.agent.email, address="2001:db8::2", now=timezone.now()):
        pytest.fail("the neighbour in the same /64 is the same customer of a provider")
    with limits.attempt(cast.agent.email, address="2001:db8:0:1::2", now=timezone.now()) as attempt:
        attempt.succeeded()


def test_those_who_know_their_password_count_nothing(cast: Cast) -> None:
    for _n in range(limits.MOST_PER_ACCOUNT + 1):
        assert tries(cast.agent.email, PASSWORD).status_code == 302
    assert not SignInFailure.objects.exists()


def test_a_refused_try_does_not_lengthen_the_wait(cast: Cast) -> None:
    for n in range(limits.MOST_PER_ACCOUNT + 3):
        tries(cast.agent.email, f"wrong {n}")
    assert SignInFailure.objects.count() == limits.MOST_PER_ACCOUNT * 2


def test_codes_of_a_second_factor_are_counted_by_themselves(cast: Cast, rf: RequestFactory) -> None:
    def tried(code: str) -> str:
        form = CodeForm(user=cast.agent, data={"code": code})
        with context.request_context(rf.post("/")):
            assert not form.is_valid()
        return str(form.errors)

    for n in range(limits.MOST_PER_ACCOUNT):
        assert "Too many" not in tried(f"{n:06}")
    cache.clear()
    assert "Try again in 5 minutes" in tried("123456")
    assert tries(cast.agent.email, PASSWORD).status_code == 302, "the password is another proof"


def test_no_address_and_no_guess_is_kept(cast: Cast) -> None:
    tries(cast.agent.email, "hunter2", address="203.0.113.77")
    kept = " ".join(SignInFailure.objects.values_list("key", flat=True))
    assert len(kept) == 64 * 2 + 1 and cast.agent.email not in kept and "203" not in kept.split()
