"""The settings screen of brands: names under which one answers."""

from __future__ import annotations

from agents.models import AuditEntry
from tests.cast import make_brand
from tickets.models import Brand

PAGE = "/settings/brands/"
FIELDS = {"name": "Harbour Coffee", "language": "ko", "domain": "harbour.example", "accent": "#2D59d6"}


def test_a_brand_is_added_and_mended_and_its_key_stays(cast, sign_in):
    admin = sign_in(cast.admin)
    assert admin.post(PAGE, FIELDS).status_code == 302
    made = Brand.objects.get(name="Harbour Coffee")
    assert (made.key, made.language, made.domain, made.accent) == ("harbour-coffee", "ko", "harbour.example", "#2D59d6")
    assert admin.post(f"{PAGE}{made.pk}/", FIELDS | {"name": "Hafen", "accent": "blue"}).status_code == 422
    assert admin.post(f"{PAGE}{made.pk}/", FIELDS | {"name": "Hafen"}).status_code == 302
    made.refresh_from_db()
    assert (made.name, made.key) == ("Hafen", "harbour-coffee")
    added, changed = AuditEntry.objects.filter(kind__startswith="brand_").order_by("id")
    assert (added.kind, changed.kind) == ("brand_added", "brand_changed")
    assert (changed.facts["before"]["name"], changed.facts["after"]["name"]) == ("Harbour Coffee", "Hafen")


def test_two_brands_of_one_name_have_two_keys(cast, sign_in):
    admin = sign_in(cast.admin)
    for name in ("모아", "모아", "Shop 2"):
        admin.post(PAGE, FIELDS | {"name": name})
    assert list(Brand.objects.order_by("id").values_list("key", flat=True)) == ["shop", "brand", "brand-2", "shop-2"]


def test_only_who_works_for_all_brands_adds_one(cast, sign_in, mina):
    other = make_brand("garden")
    cast.admin.brand_ids = [other.pk]
    cast.admin.save()
    admin = sign_in(cast.admin)
    page = admin.get(PAGE).content.decode()
    assert other.name in page and cast.brand.name not in page and '<form method="post" class="card"' not in page
    assert admin.post(PAGE, FIELDS).status_code == 403
    assert admin.post(f"{PAGE}{cast.brand.pk}/", FIELDS).status_code == 404
    assert mina.get(PAGE).status_code == 403
    assert not Brand.objects.filter(name="Harbour Coffee").exists()
