"""Who a signed token names, and every token that proves nothing (channels.md 15.3)."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from channels_in.webchat import identity
from channels_in.webchat.identity import IdentityRefused, Key

SECRET = "test_webchat_identity_key_000001"
ISSUED = 1784900000
NOW = datetime.fromtimestamp(ISSUED + 600, tz=UTC)
KEYS = {"k1": Key("k1", "HS256", SECRET)}
CLAIMS = {
    "aud": "brand_demo",
    "email": "kim@example.com",
    "email_verified": True,
    "exp": ISSUED + 3600,
    "iat": ISSUED,
    "sub": "user-42",
}


def part(data: dict) -> str:
    text = json.dumps(data, separators=(",", ":"), sort_keys=True).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def signed(claims: dict, *, secret: str = SECRET, header: dict | None = None) -> str:
    """HS256 by hand, so that the library does not judge itself."""
    head = f"{part(header or {'alg': 'HS256', 'kid': 'k1', 'typ': 'JWT'})}.{part(claims)}"
    digest = hmac.new(secret.encode(), head.encode(), hashlib.sha256).digest()
    return f"{head}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"


def read(token: str, *, keys=KEYS, brand: str = "brand_demo", now: datetime = NOW):
    return identity.read(token, keys=keys, brand_key=brand, now=now)


def test_a_token_made_by_hand_names_the_user():
    found = read(signed(CLAIMS))
    assert (found.subject, found.email, found.email_verified, found.kid) == ("user-42", "kim@example.com", True, "k1")
    assert found.until == datetime.fromtimestamp(ISSUED + 3600, tz=UTC)
    kinds = [(one.kind, one.scope, one.value, one.verified) for one in found.identifiers("brand_demo")]
    assert kinds == [("webchat", "brand_demo", "user-42", True), ("email", "", "kim@example.com", True)]


def test_the_reference_vector_is_what_we_compute():
    assert signed(CLAIMS).endswith(".5AkGqKlQuByNPEewZvcW9xHOW88gJ6VA9a_JjROZtOU")


def test_an_address_is_a_claim_unless_the_token_says_it_is_verified():
    for said in (False, "true", 1, None):
        found = read(signed({**CLAIMS, "email_verified": said}))
        assert not found.email_verified
        assert [one.verified for one in found.identifiers("b") if one.kind == "email"] == [False]


def test_eddsa_is_read_with_its_public_key():
    private = Ed25519PrivateKey.generate()
    public = (
        private.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )
    keys = {"k2": Key("k2", "EdDSA", public)}
    token = jwt.encode(CLAIMS, private, algorithm="EdDSA", headers={"kid": "k2"})
    assert read(token, keys=keys).subject == "user-42"
    with pytest.raises(IdentityRefused):  # the public key used as a shared secret
        read(signed(CLAIMS, secret=public, header={"alg": "HS256", "kid": "k2", "typ": "JWT"}), keys=keys)


@pytest.mark.parametrize(
    ("why", "token"),
    [
        ("alg none", f"{part({'alg': 'none', 'kid': 'k1'})}.{part(CLAIMS)}."),
        ("alg none with a signature", signed(CLAIMS, header={"alg": "none", "kid": "k1"})),
        ("another algorithm", jwt.encode(CLAIMS, SECRET * 2, algorithm="HS512", headers={"kid": "k1"})),
        ("unknown key", signed(CLAIMS, header={"alg": "HS256", "kid": "k9"})),
        ("no key named", signed(CLAIMS, header={"alg": "HS256"})),
        ("wrong secret", signed(CLAIMS, secret="another_webchat_identity_key_002")),
        ("changed claims", signed(CLAIMS).replace(part(CLAIMS), part({**CLAIMS, "sub": "user-1"}))),
        ("another brand", signed({**CLAIMS, "aud": "brand_other"})),
        ("several audiences", signed({**CLAIMS, "aud": ["brand_demo", "brand_other"]})),
        ("expired", signed({**CLAIMS, "iat": ISSUED - 7200, "exp": ISSUED - 3600})),
        ("expired beyond the skew", signed({**CLAIMS, "iat": ISSUED - 3000, "exp": ISSUED + 540})),
        ("issued in the future", signed({**CLAIMS, "iat": ISSUED + 661, "exp": ISSUED + 1200})),
        ("lives two hours", signed({**CLAIMS, "exp": ISSUED + 7200})),
        ("no end", signed({k: v for k, v in CLAIMS.items() if k != "exp"})),
        ("no begin", signed({k: v for k, v in CLAIMS.items() if k != "iat"})),
        ("no subject", signed({k: v for k, v in CLAIMS.items() if k != "sub"})),
        ("empty subject", signed({**CLAIMS, "sub": ""})),
        ("subject of another type", signed({**CLAIMS, "sub": 42})),
        ("endless", signed({**CLAIMS, "exp": 1e300})),
        ("a plain HMAC of the user id", hmac.new(b"inbox_secret", b"user-42", hashlib.sha256).hexdigest()),
        ("nothing", ""),
        ("not a token", "a.b.c"),
    ],
)
def test_a_token_that_proves_nothing_is_refused(why, token):
    with pytest.raises(IdentityRefused):
        read(token)


def test_a_token_within_the_skew_is_taken():
    assert read(signed({**CLAIMS, "iat": ISSUED - 3000, "exp": ISSUED + 541})).subject == "user-42"
    assert read(signed({**CLAIMS, "iat": ISSUED + 660, "exp": ISSUED + 1200})).subject == "user-42"


def test_two_keys_live_side_by_side_and_not_three(cast):
    first = identity.add_key(cast.webchat, alg="HS256")
    second = identity.add_key(cast.webchat, alg="HS256")
    assert set(identity.keys_of(cast.brand.pk)) == {first.kid, second.kid}
    with pytest.raises(identity.TooManyKeys):
        identity.add_key(cast.webchat, alg="HS256")
    identity.delete_key(cast.webchat, first.kid)
    assert set(identity.keys_of(cast.brand.pk)) == {second.kid}
    assert len(first.key) >= 43  # 256 bits


def test_a_key_that_is_no_ed25519_key_is_refused(cast):
    with pytest.raises(ValueError):
        identity.add_key(
            cast.webchat, alg="EdDSA", public_key="-----BEGIN PUBLIC KEY-----\nnonsense\n-----END PUBLIC KEY-----\n"
        )
