"""The organisation's own recognisers, and services behind the same interface."""

import json
import pickle

import boto3
import httpx
import pandas as pd
import pytest
from botocore.stub import Stubber
from moto import mock_aws

from mlplatform.pii import scan_frame
from mlplatform.pii.cloud.dlp import DlpDetector
from mlplatform.pii.cloud.macie import MacieDetector
from mlplatform.pii.columns import Reader
from mlplatform.pii.detectors import DetectionFailed, Entity, Text
from mlplatform.pii.recognizers import load_recognizers
from tests.mlplatform.pii.scanned import found, scan

OWN = """
recognizers:
  - name: staff number
    supported_entity: STAFF_NUMBER
    supported_language: en
    patterns:
      - {name: form, regex: 'ST-[0-9]{6}', score: 0.4}
    context: [staff, employee]
  - name: projects that nobody may know
    supported_entity: SECRET_PROJECT
    deny_list: [Bluebird, Nightjar]
"""


class TestOwnRecognizers:
    @pytest.fixture
    def own(self, tmp_path):
        (tmp_path / "own.yaml").write_text(OWN)
        return load_recognizers(tmp_path / "own.yaml")

    def test_they_look_at_all_values(self, own, tmp_path):
        frame = pd.DataFrame(
            {"staff_id": ["ST-123456", "ST-654321"] * 5, "title": ["we met about Bluebird today", "no"] * 5}
        )
        frame.to_csv(tmp_path / "t.csv", index=False)
        assert found(scan(tmp_path / "t.csv", own=own)) == {
            ("t.csv.staff_id", "STAFF_NUMBER"),
            ("t.csv.title", "SECRET_PROJECT"),
        }
        assert found(scan(tmp_path / "t.csv")) == set()
        assert own.kinds == {"STAFF_NUMBER", "SECRET_PROJECT"}
        finding = scan_frame(frame, "t", Reader(own=own)).findings[0]
        assert (finding.entity, finding.count) == ("STAFF_NUMBER", 10)

    def test_they_look_into_artefacts_and_logs(self, own, tmp_path):
        (tmp_path / "run.log").write_text("about Bluebird\n")
        (tmp_path / "m.pkl").write_bytes(pickle.dumps(["staff ST-123456"]))
        assert found(scan(tmp_path / "run.log", own=own)) == {("run.log", "SECRET_PROJECT")}
        assert found(scan(tmp_path / "m.pkl", own=own)) == {("m.pkl", "STAFF_NUMBER")}

    def test_a_context_word_adds_to_the_score(self, own):
        ((alone,), (with_context,)) = own.detect([Text("ST-123456"), Text("ST-123456", ("staff",))])
        assert (alone.score, with_context.score) == (0.4, 0.75)
        assert own.detect([Text("ST-123456")], frozenset({"SECRET_PROJECT"})) == [[]]

    def test_presidios_own_example_can_be_read(self):
        from pathlib import Path

        import presidio_analyzer

        path = Path(presidio_analyzer.__file__).parent / "conf" / "example_recognizers.yaml"
        assert {"ZIP", "TITLE"} <= load_recognizers(path).kinds

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            ("recognizers: {", "no YAML"),
            ("other: []", "no list"),
            ("recognizers: [1]", "no mapping"),
            ("recognizers: [{name: a, supported_entity: A}]", "a is not usable"),
            (
                "recognizers: [{name: a, supported_entity: A, patterns: [{name: p, regex: '(', score: 1}]}]",
                "not usable",
            ),
            ("recognizers: [{name: a, supported_entity: A, patterns: [{name: p, regex: x, score: 7}]}]", "not usable"),
        ],
    )
    def test_faults_are_told(self, tmp_path, content, said):
        (tmp_path / "own.yaml").write_text(content)
        with pytest.raises(DetectionFailed, match=said):
            load_recognizers(tmp_path / "own.yaml")


def dlp(answer, asked=None):
    def handle(request):
        if asked is not None:
            asked.append(request)
        return answer(json.loads(request.content))

    client = httpx.Client(base_url="https://dlp.test", transport=httpx.MockTransport(handle))
    return DlpDetector(client, "shop", "europe-west1", lambda seconds: None)


def dlp_finding(kind, row, start, end, likelihood="LIKELY"):
    return {
        "infoType": {"name": kind},
        "likelihood": likelihood,
        "location": {
            "codepointRange": {"start": str(start), "end": str(end)},
            "contentLocations": [
                {"recordLocation": {"fieldId": {"name": "v"}, "tableLocation": {"rowIndex": str(row)}}}
            ],
        },
    }


class TestDlp:
    def test_texts_become_rows_and_findings_entities(self):
        asked = []
        answer = {"result": {"findings": [dlp_finding("PERSON_NAME", 1, 3, 6), dlp_finding("OTHER", 0, 0, 1)]}}
        detector = dlp(lambda body: httpx.Response(200, json=answer), asked)
        texts = [Text("nobody", ("client",)), Text("to Ada", ("client",))]
        assert detector.detect(texts) == [[], [Entity("PERSON", 3, 6, 0.8)]]
        (request,) = asked
        assert request.url.path == "/v2/projects/shop/locations/europe-west1/content:inspect"
        body = json.loads(request.content)
        assert body["item"]["table"] == {
            "headers": [{"name": "client"}],
            "rows": [{"values": [{"stringValue": "nobody"}]}, {"values": [{"stringValue": "to Ada"}]}],
        }
        assert body["inspectConfig"]["includeQuote"] is False

    def test_only_the_kinds_that_are_wanted_are_asked_for(self):
        asked = []
        dlp(lambda body: httpx.Response(200, json={}), asked).detect([Text("x")], frozenset({"PERSON"}))
        assert json.loads(asked[0].content)["inspectConfig"]["infoTypes"] == [{"name": "PERSON_NAME"}]

    def test_requests_are_bounded_and_rows_keep_their_texts(self):
        def answer(body):
            rows = body["item"]["table"]["rows"]
            assert len(json.dumps(body)) < 500_000
            marked = [index for index, row in enumerate(rows) if row["values"][0]["stringValue"].startswith("Ada")]
            return httpx.Response(
                200, json={"result": {"findings": [dlp_finding("PERSON_NAME", n, 0, 3) for n in marked]}}
            )

        texts = [Text(("Ada" if number % 7 == 0 else "") + "x" * 1000, (str(number // 300),)) for number in range(1000)]
        answers = dlp(answer).detect(texts)
        assert [number for number, entities in enumerate(answers) if entities] == list(range(0, 1000, 7))

    def test_what_was_cut_off_is_asked_for_again_in_halves(self):
        def answer(body):
            rows = body["item"]["table"]["rows"]
            findings = [dlp_finding("PERSON_NAME", 0, 0, 1)]
            return httpx.Response(200, json={"result": {"findings": findings, "findingsTruncated": len(rows) > 1}})

        assert all(dlp(answer).detect([Text("a"), Text("b"), Text("c")]))

    @pytest.mark.parametrize(
        ("response", "said"),
        [
            (httpx.Response(403), "refuses the token"),
            (httpx.Response(429), "overloaded"),
            (httpx.Response(404), "answered 404"),
            (httpx.Response(200, json={"result": {"findings": [1]}}), "another form"),
        ],
    )
    def test_errors_are_told(self, response, said):
        with pytest.raises(DetectionFailed, match=said):
            dlp(lambda body: response).detect([Text("x")])

    def test_it_takes_part_in_a_scan(self, tmp_path):
        def answer(body):
            rows = body["item"]["table"]["rows"]
            spans = [len(row["values"][0]["stringValue"]) for row in rows]
            findings = [dlp_finding("PERSON_NAME", number, 0, end) for number, end in enumerate(spans)]
            return httpx.Response(200, json={"result": {"findings": findings}})

        pd.DataFrame({"client": ["Ion Popa", "Ana Pop", "Dan Rusu"]}).to_csv(tmp_path / "t.csv", index=False)
        assert found(scan(tmp_path / "t.csv", detector=dlp(answer))) == {("t.csv.client", "PERSON")}

    def test_it_has_to_be_set_up(self, monkeypatch):
        monkeypatch.delenv("ML_PLATFORM_DLP_PROJECT", raising=False)
        with pytest.raises(DetectionFailed, match="not set up"):
            DlpDetector.from_environment()


class TestMacie:
    """S3 is moto's. Macie's jobs and findings, which moto lacks, are botocore's stubs: they hold to the service's own model."""

    def test_texts_are_classified_and_removed(self):
        with mock_aws():
            store = boto3.client("s3", region_name="us-east-1")
            store.create_bucket(Bucket="scans")
            macie = boto3.client("macie2", region_name="us-east-1")
            stub = Stubber(macie)
            stub.add_response("create_classification_job", {"jobId": "j1", "jobArn": "arn"})
            stub.add_response("describe_classification_job", {"jobStatus": "RUNNING"}, {"jobId": "j1"})
            stub.add_response("describe_classification_job", {"jobStatus": "COMPLETE"}, {"jobId": "j1"})
            stub.add_response("list_findings", {"findingIds": ["f1"]})
            stub.add_response("get_findings", {"findings": [self.finding()]}, {"findingIds": ["f1"]})
            laid = []

            def wait(seconds):
                listed = store.list_objects_v2(Bucket="scans")["Contents"]
                laid.extend(store.get_object(Bucket="scans", Key=about["Key"])["Body"].read() for about in listed)

            detector = MacieDetector(
                macie, store, account="123456789012", bucket="scans", sleep=wait, new_id=lambda: "one"
            )
            texts = [Text(f"text {number}", ("client", "name")) for number in range(20)]
            with stub:
                answers = detector.detect(texts)
            stub.assert_no_pending_responses()
            assert [number for number, entities in enumerate(answers) if entities] == [16]
            assert answers[16] == [Entity("PERSON", 0, 7, 0.9)]
            assert [len(part.splitlines()) for part in laid] == [15, 5]
            assert json.loads(laid[0].splitlines()[0]) == {"client_name": "text 0"}
            assert "Contents" not in store.list_objects_v2(Bucket="scans")

    def test_a_failed_job_leaves_nothing_in_the_bucket(self):
        with mock_aws():
            store = boto3.client("s3", region_name="us-east-1")
            store.create_bucket(Bucket="scans")
            macie = boto3.client("macie2", region_name="us-east-1")
            stub = Stubber(macie)
            stub.add_client_error("create_classification_job", "AccessDeniedException")
            detector = MacieDetector(macie, store, account="123456789012", bucket="scans")
            with stub, pytest.raises(DetectionFailed, match="Macie failed"):
                detector.detect([Text("a")])
            assert "Contents" not in store.list_objects_v2(Bucket="scans")

    @staticmethod
    def finding():
        occurrences = {"records": [{"recordIndex": 1, "jsonPath": "$.client_name"}]}
        return {
            "resourcesAffected": {"s3Object": {"key": "ml-platform-scan/one/000001.jsonl"}},
            "classificationDetails": {
                "result": {
                    "sensitiveData": [
                        {
                            "category": "PERSONAL_INFORMATION",
                            "detections": [{"type": "NAME", "count": 1, "occurrences": occurrences}],
                        }
                    ]
                }
            },
        }
