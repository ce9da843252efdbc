"""Amazon Macie as a detector. Macie reads objects in S3 only, so texts are laid there for one job, and removed after it.

It tells at most 15 places of a kind in one object, and no position within a value: texts are laid in objects of 15, and what is
found stands for all of a text.
"""

import json
import os
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from mlplatform.pii.detectors import DetectionFailed, Entity, Text

KINDS = {
    "NAME": "PERSON",
    "PHONE_NUMBER": "PHONE_NUMBER",
    "CREDIT_CARD_NUMBER": "CREDIT_CARD",
    "ADDRESS": "STREET_ADDRESS",
    "DATE_OF_BIRTH": "DATE_OF_BIRTH",
    "USA_SOCIAL_SECURITY_NUMBER": "US_SSN",
    "SPAIN_NIF_NUMBER": "ES_NIF",
    "SPAIN_NIE_NUMBER": "ES_NIE",
    "FRANCE_SOCIAL_SECURITY_NUMBER": "FR_NIR",
    "GERMANY_TAX_IDENTIFICATION_NUMBER": "DE_TAX_ID",
    "UK_NATIONAL_HEALTH_SERVICE_NUMBER": "UK_NHS",
    "AWS_CREDENTIALS": "SECRET",
    "OPENSSH_PRIVATE_KEY": "SECRET",
    "PGP_PRIVATE_KEY": "SECRET",
    "HTTP_BASIC_AUTH_HEADER": "SECRET",
    "JSON_WEB_TOKEN": "SECRET",
}
"""Macie's names of managed data identifiers, and our kinds; it has none for e-mail addresses."""
_SCORE = 0.9
"""Macie tells a severity and no likelihood; what it tells has passed its own threshold."""
_TEXTS = 15
_PAGE = 50
_WAIT = 15.0
_LONGEST = 6 * 3600.0


class _Message(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class _Record(_Message):
    record_index: int


class _Occurrences(_Message):
    records: list[_Record] = []


class _Detection(_Message):
    type: str
    occurrences: _Occurrences = Field(default_factory=_Occurrences)


class _SensitiveData(_Message):
    detections: list[_Detection] = []


class _Result(_Message):
    sensitive_data: list[_SensitiveData] = []


class _Details(_Message):
    result: _Result = Field(default_factory=_Result)


class _Object(_Message):
    key: str


class _Affected(_Message):
    s3_object: _Object = Field(alias="s3Object")


class _Finding(_Message):
    classification_details: _Details = Field(default_factory=_Details)
    resources_affected: _Affected


class MacieDetector:
    """Implements :class:`~mlplatform.pii.detectors.Detector` with one classification job for each call."""

    name: Literal["macie"] = "macie"

    def __init__(
        self,
        macie: Any,
        store: Any,
        *,
        account: str,
        bucket: str,
        sleep: Callable[[float], None] = time.sleep,
        new_id: Callable[[], str] = lambda: uuid.uuid4().hex,
    ) -> None:
        self._macie = macie
        self._store = store
        self._account = account
        self._bucket = bucket
        self._sleep = sleep
        self._new_id = new_id

    @classmethod
    def from_environment(cls) -> "MacieDetector":
        """Return the detector for the bucket in ``ML_PLATFORM_MACIE_BUCKET``, with the account that boto3 is signed in to.

        Raises:
            DetectionFailed: boto3 is not installed or not signed in, or no bucket is named.
        """
        bucket = os.environ.get("ML_PLATFORM_MACIE_BUCKET", "")
        if not bucket:
            fix = "set ML_PLATFORM_MACIE_BUCKET to a private bucket that texts may be laid into"
            raise DetectionFailed("Amazon Macie is not set up in the environment", fix)
        try:
            import boto3
            import botocore.exceptions

            account = boto3.client("sts").get_caller_identity()["Account"]
            return cls(boto3.client("macie2"), boto3.client("s3"), account=account, bucket=bucket)
        except ImportError as error:
            raise DetectionFailed("Amazon Macie needs boto3, which is not installed", "install boto3") from error
        except botocore.exceptions.BotoCoreError as error:
            raise DetectionFailed(
                f"AWS can't be used: {error}", "sign in, or set AWS_PROFILE and AWS_REGION"
            ) from error

    def detect(self, texts: Sequence[Text], kinds: frozenset[str] | None = None) -> list[list[Entity]]:
        """Lay the texts into the bucket, have them classified, and remove them whatever happens."""
        import botocore.exceptions

        found: list[list[Entity]] = [[] for _ in texts]
        if not texts:
            return found
        job = self._new_id()
        keys: list[str] = []
        try:
            for key, part in _objects(job, texts):
                keys.append(key)
                self._store.put_object(
                    Bucket=self._bucket,
                    Key=key,
                    Body=part,
                    ContentType="application/jsonl",
                    ServerSideEncryption="aws:kms",
                )
            identity = self._classified(job)
            for finding in self._findings(identity):
                self._add(finding, keys, texts, kinds, found)
        except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as error:
            raise DetectionFailed(f"Amazon Macie failed: {error}") from error
        finally:
            for key in keys:
                self._store.delete_object(Bucket=self._bucket, Key=key)
        return found

    def _classified(self, job: str) -> str:
        made = self._macie.create_classification_job(
            clientToken=job,
            name=f"ml-platform-{job}",
            jobType="ONE_TIME",
            managedDataIdentifierSelector="ALL",
            s3JobDefinition={
                "bucketDefinitions": [{"accountId": self._account, "buckets": [self._bucket]}],
                "scoping": {
                    "includes": {
                        "and": [
                            {
                                "simpleScopeTerm": {
                                    "comparator": "STARTS_WITH",
                                    "key": "OBJECT_KEY",
                                    "values": [_prefix(job)],
                                }
                            }
                        ]
                    }
                },
            },
        )
        identity = str(made["jobId"])
        waited = 0.0
        while (status := self._macie.describe_classification_job(jobId=identity)["jobStatus"]) != "COMPLETE":
            if status in {"CANCELLED", "PAUSED", "USER_PAUSED"} or waited > _LONGEST:
                raise DetectionFailed(
                    f"the job {identity} of Amazon Macie is {status.lower()}", "see it in the console"
                )
            self._sleep(_WAIT)
            waited += _WAIT
        return identity

    def _findings(self, job: str) -> Iterator[_Finding]:
        criteria = {"criterion": {"classificationDetails.jobId": {"eq": [job]}}}
        more: dict[str, str] = {}
        while True:
            page = self._macie.list_findings(findingCriteria=criteria, maxResults=_PAGE, **more)
            if page["findingIds"]:
                answer = self._macie.get_findings(findingIds=page["findingIds"])
                try:
                    yield from (_Finding.model_validate(finding) for finding in answer["findings"])
                except ValidationError as error:
                    raise DetectionFailed("Amazon Macie answered in another form than its version 2 has") from error
            if not page.get("nextToken"):
                return
            more = {"nextToken": page["nextToken"]}

    def _add(
        self,
        finding: _Finding,
        keys: Sequence[str],
        texts: Sequence[Text],
        kinds: frozenset[str] | None,
        found: list[list[Entity]],
    ) -> None:
        key = finding.resources_affected.s3_object.key
        if key not in keys:
            return
        first = keys.index(key) * _TEXTS
        for data in finding.classification_details.result.sensitive_data:
            for detection in data.detections:
                kind = KINDS.get(detection.type)
                if kind is None or (kinds is not None and kind not in kinds):
                    continue
                for record in detection.occurrences.records:
                    number = first + record.record_index
                    found[number].append(Entity(kind, 0, len(texts[number].value), _SCORE))


def _prefix(job: str) -> str:
    return f"ml-platform-scan/{job}/"


def _objects(job: str, texts: Sequence[Text]) -> Iterator[tuple[str, bytes]]:
    """Return the objects to lay: JSON Lines, each text under the words of its column, which Macie takes for context."""
    for start in range(0, len(texts), _TEXTS):
        lines = [json.dumps({"_".join(text.context) or "value": text.value}) for text in texts[start : start + _TEXTS]]
        yield f"{_prefix(job)}{start // _TEXTS:06d}.jsonl", "\n".join(lines).encode()
