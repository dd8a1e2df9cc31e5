"""Who somebody is by a sign-in, as a round keeps it: a digest of its own, and the name that others see."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from grader.competition.nicknames import readable_name

_NAME_CLAIMS = ("name", "preferred_username", "nickname")


@dataclass(frozen=True)
class Account:
    """An account of an identity provider. issuer, subject: together they are one person's for ever.

    name: "" when the provider gives none that can be shown. No address is kept, here or in the store.
    """

    issuer: str
    subject: str
    name: str

    @classmethod
    def from_claims(cls, claims: Mapping[str, object]) -> Account | None:
        """The account of an ID token's claims (OpenID Connect Core 1.0, sections 2 and 5.1).

        None without issuer and subject. A name that is an e-mail address is no name: boards show names.
        """
        issuer, subject = claims.get("iss"), claims.get("sub")
        if not (isinstance(issuer, str) and isinstance(subject, str) and issuer and subject):
            return None
        parts = (claims.get("given_name"), claims.get("family_name"))
        full = " ".join(part for part in parts if isinstance(part, str))
        candidates = [claims.get(claim) for claim in _NAME_CLAIMS]
        candidates.insert(1, full)
        names = (readable_name(each) for each in candidates if isinstance(each, str) and "@" not in each)
        return cls(issuer, subject, next((name for name in names if name), ""))

    def key(self, round_uid: str) -> str:
        """What a round keeps of it: in another round the same account has another key."""
        text = "\n".join((round_uid, self.issuer, self.subject))
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
