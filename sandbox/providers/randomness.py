"""Test equipment: the resource types of pulumi-random that the platform uses.

Values come from the operating system's generator (`secrets`, `os.urandom`), as those of the official provider do.
Ids are the official ones, and Pulumi keeps ids unencrypted: the id of RandomBytes, RandomString, RandomId and
RandomUuid is the value itself. Only RandomPassword is fit for secrets.
"""

import base64
import os
import secrets
import string
import uuid
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from sandbox.providers.resource import Failure, Input, Made, Resource
from sandbox.providers.values import Unknown

_SPECIAL = "!@#$%&*()-_=+[]{}<>:?"
_MINIMA = ("minUpper", "minLower", "minNumeric", "minSpecial")
_CLASSES = ("special", "upper", "lower", "numeric")
_KEEPERS = Input(kind="map")
# bcrypt uses the first 72 bytes of a password, and the library refuses more.
_BCRYPT_BYTES = 72
# Cost of the official provider's hash: 2^10 rounds.
_BCRYPT_COST = 10


class RandomString(Resource):
    """Text of chosen classes of characters, with a minimum number of each."""

    token = "random:index/randomString:RandomString"
    inputs: ClassVar = {
        "length": Input(kind="number", required=True, minimum=1),
        "special": Input(kind="bool", default=True),
        "upper": Input(kind="bool", default=True),
        "lower": Input(kind="bool", default=True),
        "number": Input(kind="bool"),
        "numeric": Input(kind="bool"),
        "minUpper": Input(kind="number", default=0, minimum=0),
        "minLower": Input(kind="number", default=0, minimum=0),
        "minNumeric": Input(kind="number", default=0, minimum=0),
        "minSpecial": Input(kind="number", default=0, minimum=0),
        "overrideSpecial": Input(kind="string"),
        "keepers": _KEEPERS,
    }
    outputs: ClassVar[tuple[str, ...]] = ("result",)

    def plan(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """`number` is the old name of `numeric`: whichever is given sets both."""
        planned = super().plan(inputs)
        digits = planned.get("numeric", planned.get("number", True))
        return planned | {"number": digits, "numeric": digits}

    def rules(self, planned: Mapping[str, Any]) -> Iterator[Failure]:
        length, minima = planned["length"], [planned[name] for name in _MINIMA]
        if not any(isinstance(value, Unknown) for value in [length, *minima]) and length < sum(minima):
            total = "min_upper + min_lower + min_numeric + min_special"
            yield Failure("length", f"Attribute length value must be at least sum of {total}, got: {length}")
        if all(planned[name] is False for name in _CLASSES):
            yield Failure("", "At least one of special, upper, lower and numeric must be true")

    def _text(self, planned: Mapping[str, Any]) -> str:
        classes = {
            "Upper": string.ascii_uppercase,
            "Lower": string.ascii_lowercase,
            "Numeric": string.digits,
            "Special": planned.get("overrideSpecial") or _SPECIAL,
        }
        characters = [secrets.choice(pool) for name, pool in classes.items() for _ in range(planned[f"min{name}"])]
        anything = "".join(pool for name, pool in classes.items() if planned[name.lower()])
        characters += [secrets.choice(anything) for _ in range(planned["length"] - len(characters))]
        secrets.SystemRandom().shuffle(characters)
        return "".join(characters)

    def make(self, planned: Mapping[str, Any]) -> Made:
        text = self._text(planned)
        return Made(text, {"result": text})


class RandomPassword(RandomString):
    """A RandomString whose result is secret, with its bcrypt hash. Its id says nothing."""

    token = "random:index/randomPassword:RandomPassword"
    outputs = ("result", "bcryptHash")
    secret_outputs = frozenset(outputs)

    def make(self, planned: Mapping[str, Any]) -> Made:
        import bcrypt

        text = self._text(planned)
        digest = bcrypt.hashpw(text.encode()[:_BCRYPT_BYTES], bcrypt.gensalt(_BCRYPT_COST)).decode()
        return Made("none", {"result": text, "bcryptHash": digest})


class RandomBytes(Resource):
    """Bytes, as base64 with padding and as hexadecimal; secret outputs, but see the module about its id."""

    token = "random:index/randomBytes:RandomBytes"
    inputs: ClassVar = {"length": Input(kind="number", required=True, minimum=1), "keepers": _KEEPERS}
    outputs = ("base64", "hex")
    secret_outputs = frozenset(outputs)

    def make(self, planned: Mapping[str, Any]) -> Made:
        value = os.urandom(planned["length"])
        encoded = base64.b64encode(value).decode()
        return Made(encoded, {"base64": encoded, "hex": value.hex()})


class RandomId(Resource):
    """A number for names, in four notations, each after `prefix`. Not secret."""

    token = "random:index/randomId:RandomId"
    inputs: ClassVar = {
        "byteLength": Input(kind="number", required=True, minimum=1),
        "prefix": Input(kind="string"),
        "keepers": _KEEPERS,
    }
    outputs = ("hex", "dec", "b64Std", "b64Url")

    def make(self, planned: Mapping[str, Any]) -> Made:
        value, prefix = os.urandom(planned["byteLength"]), planned.get("prefix", "")
        url = base64.urlsafe_b64encode(value).rstrip(b"=").decode()
        notations = {
            "hex": value.hex(),
            "dec": str(int.from_bytes(value, "big")),
            "b64Std": base64.b64encode(value).decode(),
            "b64Url": url,
        }
        return Made(url, {name: prefix + text for name, text in notations.items()})


class RandomUuid(Resource):
    """A random UUID. Not secret."""

    token = "random:index/randomUuid:RandomUuid"
    inputs: ClassVar = {"keepers": _KEEPERS}
    outputs = ("result",)

    def make(self, planned: Mapping[str, Any]) -> Made:
        text = str(uuid.uuid4())
        return Made(text, {"result": text})


RESOURCES = (RandomPassword(), RandomString(), RandomBytes(), RandomId(), RandomUuid())
