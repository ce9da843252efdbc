"""Google Cloud's Sensitive Data Protection (DLP) as a detector, over its REST interface ``content:inspect`` (v2)."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import httpx
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from mlplatform.pii.detectors import DetectionFailed, Entity, Text

KINDS = {
    "PERSON_NAME": "PERSON",
    "EMAIL_ADDRESS": "EMAIL_ADDRESS",
    "PHONE_NUMBER": "PHONE_NUMBER",
    "CREDIT_CARD_NUMBER": "CREDIT_CARD",
    "IBAN_CODE": "IBAN_CODE",
    "US_SOCIAL_SECURITY_NUMBER": "US_SSN",
    "IP_ADDRESS": "IP_ADDRESS",
    "STREET_ADDRESS": "STREET_ADDRESS",
    "DATE_OF_BIRTH": "DATE_OF_BIRTH",
    "PASSPORT": "NATIONAL_ID",
    "SPAIN_NIF_NUMBER": "ES_NIF",
    "SPAIN_NIE_NUMBER": "ES_NIE",
    "FRANCE_NIR": "FR_NIR",
    "GERMANY_TAXPAYER_IDENTIFICATION_NUMBER": "DE_TAX_ID",
    "UK_NATIONAL_HEALTH_SERVICE_NUMBER": "UK_NHS",
}
"""Google's names of kinds, and ours."""
SCORES = {
    "VERY_UNLIKELY": 0.1,
    "UNLIKELY": 0.3,
    "POSSIBLE": 0.55,
    "LIKELY": 0.8,
    "VERY_LIKELY": 0.95,
}
_ENDPOINT = "https://dlp.googleapis.com"
_MAX_BYTES = 400_000
"""Of text in one request; the service takes 0.5 MB with all that is around it."""
_MAX_ROWS = 5_000
_TRIES = 4


class _Message(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class _Named(_Message):
    name: str = ""


class _Range(_Message):
    start: int = 0
    end: int = 0


class _TableLocation(_Message):
    row_index: int = 0


class _RecordLocation(_Message):
    table_location: _TableLocation = Field(default_factory=_TableLocation)


class _ContentLocation(_Message):
    record_location: _RecordLocation = Field(default_factory=_RecordLocation)


class _Location(_Message):
    codepoint_range: _Range = Field(default_factory=_Range)
    content_locations: list[_ContentLocation] = []


class _Finding(_Message):
    info_type: _Named
    likelihood: str = "POSSIBLE"
    location: _Location


class _Result(_Message):
    findings: list[_Finding] = []
    findings_truncated: bool = False


class _Answer(_Message):
    result: _Result = Field(default_factory=_Result)


class DlpDetector:
    """Implements :class:`~mlplatform.pii.detectors.Detector`: texts are sent as rows of a table, with context as its header."""

    name: Literal["dlp"] = "dlp"

    def __init__(self, client: httpx.Client, project: str, location: str, sleep: Callable[[float], None]) -> None:
        self._client = client
        self._path = f"/v2/projects/{project}/locations/{location}/content:inspect"
        self._sleep = sleep

    @classmethod
    def from_environment(cls) -> "DlpDetector":
        """Return the detector that ``ML_PLATFORM_DLP_PROJECT``, ``_LOCATION``, ``_TOKEN`` and ``_ENDPOINT`` describe.

        Raises:
            DetectionFailed: the project or the token is missing.
        """
        names = ("ML_PLATFORM_DLP_PROJECT", "ML_PLATFORM_DLP_TOKEN")
        project, token = (os.environ.get(name, "") for name in names)
        missing = [name for name, value in zip(names, (project, token), strict=True) if not value]
        if missing:
            fix = f"set {' and '.join(missing)}; a token: gcloud auth print-access-token"
            raise DetectionFailed("Google DLP is not set up in the environment", fix)
        client = httpx.Client(
            base_url=os.environ.get("ML_PLATFORM_DLP_ENDPOINT", _ENDPOINT),
            headers={"authorization": f"Bearer {token}", "x-goog-user-project": project},
            timeout=60,
        )
        return cls(client, project, os.environ.get("ML_PLATFORM_DLP_LOCATION", "global"), time.sleep)

    def detect(self, texts: Sequence[Text], kinds: frozenset[str] | None = None) -> list[list[Entity]]:
        """Return what each text holds, as the service says."""
        wanted = [name for name, kind in KINDS.items() if kinds is None or kind in kinds]
        found: list[list[Entity]] = [[] for _ in texts]
        if wanted:
            for numbers in _grouped(texts):
                self._inspect(texts, numbers, wanted, found)
        return found

    def _inspect(
        self, texts: Sequence[Text], numbers: Sequence[int], wanted: Sequence[str], found: list[list[Entity]]
    ) -> None:
        result = self._asked([texts[number] for number in numbers], wanted)
        if result.findings_truncated:
            if len(numbers) == 1:
                raise DetectionFailed("Google DLP found more in one text than it tells")
            middle = len(numbers) // 2
            self._inspect(texts, numbers[:middle], wanted, found)
            self._inspect(texts, numbers[middle:], wanted, found)
            return
        for finding in result.findings:
            kind = KINDS.get(finding.info_type.name)
            if kind is None:
                continue
            place = finding.location.codepoint_range
            entity = Entity(kind, place.start, place.end, SCORES.get(finding.likelihood, 0.5))
            for content in finding.location.content_locations:
                found[numbers[content.record_location.table_location.row_index]].append(entity)

    def _asked(self, texts: Sequence[Text], wanted: Sequence[str]) -> _Result:
        header = " ".join(texts[0].context) or "value"
        body = {
            "item": {
                "table": {
                    "headers": [{"name": header}],
                    "rows": [{"values": [{"stringValue": text.value}]} for text in texts],
                }
            },
            "inspectConfig": {
                "infoTypes": [{"name": name} for name in wanted],
                "minLikelihood": "UNLIKELY",
                "includeQuote": False,
                "limits": {"maxFindingsPerRequest": 0},
            },
        }
        for attempt in range(_TRIES):
            try:
                response = self._client.post(self._path, json=body)
            except httpx.TransportError as error:
                if attempt == _TRIES - 1:
                    raise DetectionFailed(f"Google DLP can't be reached: {type(error).__name__}") from error
            else:
                if response.status_code not in {429, 500, 503}:
                    return _read(response)
            self._sleep(2.0**attempt)
        raise DetectionFailed("Google DLP is overloaded or over quota", "scan a smaller sample, or try again later")


def _read(response: httpx.Response) -> _Result:
    if response.status_code in {401, 403}:
        fix = "renew ML_PLATFORM_DLP_TOKEN; the role needed is roles/dlp.user"
        raise DetectionFailed(f"Google DLP refuses the token ({response.status_code})", fix)
    if response.status_code != 200:
        raise DetectionFailed(f"Google DLP answered {response.status_code}")
    try:
        return _Answer.model_validate_json(response.content).result
    except ValidationError as error:
        raise DetectionFailed("Google DLP answered in another form than version 2 has") from error


def _grouped(texts: Sequence[Text]) -> Iterator[list[int]]:
    """Return the numbers of texts that go into one request: the same context, and not too much."""
    numbers: list[int] = []
    size = 0
    for number, text in enumerate(texts):
        length = len(text.value.encode("utf-8", "replace")) + 40
        other = numbers and (texts[numbers[0]].context != text.context or len(numbers) == _MAX_ROWS)
        if numbers and (other or size + length > _MAX_BYTES):
            yield numbers
            numbers, size = [], 0
        numbers.append(number)
        size += length
    if numbers:
        yield numbers
