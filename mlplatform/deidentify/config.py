"""The configuration of a de-identification: what happens to each column."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from mlplatform.deidentify.faults import DeidentifyFailed

Reference = Annotated[str, Field(pattern=r"^(env|file):.+", description="Where the key is: env:NAME or file:PATH.")]
Domain = Annotated[str, Field(min_length=1, max_length=100)]

ALPHABETS = {
    "digits": "0123456789",
    "lower": "abcdefghijklmnopqrstuvwxyz",
    "upper": "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "letters": "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
    "alphanumeric": "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
}


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Keep(_Strict):
    """Leave the column as it is."""

    operator: Literal["keep"]


class Drop(_Strict):
    """Leave the column out."""

    operator: Literal["drop"]


class Mask(_Strict):
    """Replace the value by asterisks that say nothing of its length; a few characters at its end can stay."""

    operator: Literal["mask"]
    keep_last: Annotated[int, Field(ge=0, le=4)] = 0


class Redact(_Strict):
    """Replace personal data within text: what has a form, and names."""

    operator: Literal["redact"]
    names: bool = True


class Hash(_Strict):
    """Replace the value by a keyed hash (HMAC-SHA-256): the same value of a domain has the same token in all data sets."""

    operator: Literal["hash"]
    key: str
    domain: Domain
    length: Annotated[int, Field(ge=16, le=64)] = 32
    fold_case: bool = False


class FormatPreserving(_Strict):
    """Encrypt the characters of an alphabet in place (FF1); all others stay, so that the form does."""

    operator: Literal["format-preserving"]
    key: str
    domain: Domain
    alphabet: Literal["digits", "lower", "upper", "letters", "alphanumeric"] = "digits"
    check_digit: Literal["luhn"] | None = None
    too_short: Literal["refuse", "mask"] = "refuse"

    @model_validator(mode="after")
    def _digits_have_check_digits(self) -> Self:
        if self.check_digit and self.alphabet != "digits":
            raise ValueError("check_digit goes with the alphabet digits only")
        return self


class Tokenise(_Strict):
    """Replace the value by a random token, and keep both in a vault, encrypted."""

    operator: Literal["tokenise"]
    key: str
    domain: Domain
    vault: Path
    fold_case: bool = False


class Generalise(_Strict):
    """Say less: exactly one of the following."""

    operator: Literal["generalise"]
    date: Literal["year", "month", "decade"] | None = None
    band: Annotated[float, Field(gt=0)] | None = None
    """Width of the bands that numbers fall into."""
    keep_first: Annotated[int, Field(ge=1, le=10)] | None = None
    """Characters of a code, such as a postcode, that stay."""
    ip_prefix: tuple[Annotated[int, Field(ge=0, le=32)], Annotated[int, Field(ge=0, le=128)]] | None = None
    """Bits that stay of an IPv4 and an IPv6 address."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        given = [self.date, self.band, self.keep_first, self.ip_prefix]
        if sum(value is not None for value in given) != 1:
            raise ValueError("give exactly one of date, band, keep_first and ip_prefix")
        return self


Operator = Annotated[
    Keep | Drop | Mask | Redact | Hash | FormatPreserving | Tokenise | Generalise, Field(discriminator="operator")
]


class Config(_Strict):
    """What happens to each column of a data set."""

    keys: dict[str, Reference] = {}
    """Keys by name, each by reference."""
    columns: Annotated[dict[str, Operator], Field(min_length=1)]
    platform: Annotated[str, Field(pattern=r"^https?://\S+$", max_length=300)] | None = None
    """Address of the platform that the vaults belong to: it decides who sees their values, and has it on record."""
    dataset: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    """What the catalog calls the data set, such as ``default/customers``."""
    others: Literal["refuse", "keep", "drop"] = "refuse"
    """What happens to columns that are not named. A new column should not slip through, so they are refused by default."""

    @model_validator(mode="after")
    def _keys_are_there(self) -> Self:
        for column, operator in self.columns.items():
            name = getattr(operator, "key", None)
            if name is not None and name not in self.keys:
                raise ValueError(f"columns.{column}: there is no key {name!r} in keys")
        return self


def load_config(path: Path) -> Config:
    """Read a configuration.

    Raises:
        DeidentifyFailed: the file is not readable or not of that form; the place is named.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        document: Any = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DeidentifyFailed(f"{path} can't be read: {error.strerror}") from error
    except (YAMLError, UnicodeDecodeError) as error:
        raise DeidentifyFailed(f"{path.name} is no YAML: {str(error).splitlines()[0]}") from error
    try:
        return Config.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the document"
        fix = "see `operator` and its options in how-to/find-and-remove-personal-data"
        raise DeidentifyFailed(f"{path.name}: {place}: {first['msg']}", fix) from error
