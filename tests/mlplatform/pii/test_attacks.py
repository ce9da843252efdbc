"""Personal data that is hidden: each way has a test, beside one that shows what must not be taken for it."""

import base64
import json
import random

import pandas as pd
import pytest

from mlplatform.pii import scan_frame
from mlplatform.redaction import redact
from tests.mlplatform.pii.scanned import found, scan

MAILS = [f"person{number}@example.com" for number in range(40)]
CARDS = ["4111111111111111", "5500000000000004", "6011111111111117", "4012888888881881"] * 10
PEOPLE = ["Ada Lovelace", "Grace Hopper", "Carlos Hernandez", "Olga Petrova", "Tom Miller", "Anna Kowalska"]


def kinds(tmp_path, frame):
    frame.to_parquet(tmp_path / "t.parquet")
    return {(place.removeprefix("t.parquet."), kind) for place, kind in found(scan(tmp_path / "t.parquet"))}


def wide(text):
    return "".join(chr(ord(letter) + 0xFEE0) if "!" <= letter <= "~" else letter for letter in text)


DISGUISES = {
    "full-width": wide,
    "zero-width": lambda text: "\u200b".join(text),
    "soft hyphens": lambda text: "\u00ad".join(text),
    "turned writing": lambda text: f"\u202e{text}\u202c",
    "marks of direction": lambda text: "\u200f" + text[:5] + "\u200e" + text[5:],
    "base64": lambda text: base64.b64encode(f"contact: {text}".encode()).decode(),
    "base64 for URLs": lambda text: base64.urlsafe_b64encode(f"contact: {text}?".encode()).decode().rstrip("="),
    "base64 twice": lambda text: base64.b64encode(base64.b64encode(f"contact: {text}".encode())).decode(),
}


class TestDisguises:
    @pytest.mark.parametrize("disguise", DISGUISES)
    @pytest.mark.parametrize(("values", "kind"), [(MAILS, "EMAIL_ADDRESS"), (CARDS, "CREDIT_CARD")])
    def test_disguised_values_are_found(self, tmp_path, disguise, values, kind):
        frame = pd.DataFrame({"x": [DISGUISES[disguise](value) for value in values]})
        assert ("x", kind) in kinds(tmp_path, frame)

    def test_look_alike_letters(self, tmp_path):
        disguised = [mail.replace("e", "е").replace("o", "о").replace("a", "а") for mail in MAILS]
        ibans = ["DЕ89370400440532013000", "GВ82WEST12345698765432"] * 10
        assert ("x", "EMAIL_ADDRESS") in kinds(tmp_path, pd.DataFrame({"x": disguised}))
        assert ("x", "IBAN_CODE") in kinds(tmp_path, pd.DataFrame({"x": ibans}))

    @pytest.mark.parametrize("zero", ["٠", "۰", "०", "０", "𝟎"])
    def test_digits_of_other_scripts(self, tmp_path, zero):
        digits = str.maketrans("0123456789", "".join(chr(ord(zero) + digit) for digit in range(10)))
        assert ("x", "CREDIT_CARD") in kinds(tmp_path, pd.DataFrame({"x": [card.translate(digits) for card in CARDS]}))

    def test_names_in_scripts_without_capitals(self, tmp_path):
        frame = pd.DataFrame(
            {"full_name": ["محمد علي", "فاطمة الزهراء", "יעל כהן", "דוד לוי", "山田太郎"] * 4, "city": ["القاهرة"] * 20}
        )
        assert kinds(tmp_path, frame) == {("full_name", "PERSON")}

    def test_mail_within_text_that_runs_from_right_to_left(self, tmp_path):
        frame = pd.DataFrame({"x": [f"\u202bاكتب إلى {mail} من فضلك\u202c" for mail in MAILS]})
        assert ("x", "EMAIL_ADDRESS") in kinds(tmp_path, frame)

    def test_numbers_within_text_that_runs_from_right_to_left(self, tmp_path):
        frame = pd.DataFrame(
            {"x": [f"\u202bהטלפון של דוד הוא +972 50 123 45{number}\u202c" for number in range(10, 50)]}
        )
        assert ("x", "PHONE_NUMBER") in kinds(tmp_path, frame)

    @pytest.mark.parametrize("disguise", [name for name in DISGUISES if name != "base64 twice"])
    @pytest.mark.parametrize("value", [MAILS[0], CARDS[0]])
    def test_a_log_line_shows_none_of_it(self, disguise, value):
        line = redact(f"row of {DISGUISES[disguise](value)} was dropped")
        assert "[REDACTED:" in line
        assert DISGUISES[disguise](value) not in line
        assert redact(line) == line

    def test_hashes_paths_and_foreign_words_are_left_alone(self, tmp_path):
        generator = random.Random(1)
        plain = {
            "sha": [f"{generator.getrandbits(256):064x}" for _ in range(40)],
            "token_id": [base64.b64encode(generator.randbytes(24)).decode() for _ in range(40)],
            "greeting": [base64.b64encode(b"good morning to all of you").decode()] * 40,
            "path": ["/usr/lib/python3/site-packages/sklearn/linear_model/logistic"] * 40,
            "russian": ["привет, как дела сегодня"] * 40,
        }
        assert kinds(tmp_path, pd.DataFrame(plain)) == set()
        for values in plain.values():
            assert redact(values[0]) == values[0]


class TestSplitOverCells:
    @pytest.mark.parametrize("width", [2, 3, 4])
    @pytest.mark.parametrize("as_numbers", [True, False])
    def test_card_numbers(self, tmp_path, width, as_numbers):
        cuts = [round(16 * index / width) for index in range(width + 1)]
        columns = {f"c{index}": [card[cuts[index] : cuts[index + 1]] for card in CARDS] for index in range(width)}
        frame = pd.DataFrame(columns)
        if as_numbers:
            frame = frame.astype(int)
        assert ("+".join(columns), "CREDIT_CARD") in kinds(tmp_path, frame)

    def test_mail_addresses(self, tmp_path):
        halves = [mail.split("@") for mail in MAILS]
        three = pd.DataFrame({"a": [one for one, _ in halves], "b": ["@"] * 40, "c": [two for _, two in halves]})
        assert kinds(tmp_path, three) == {("a+b+c", "EMAIL_ADDRESS")}
        two = pd.DataFrame({"a": [f"{one}@" for one, _ in halves], "b": [two for _, two in halves]})
        assert kinds(tmp_path, two) == {("a+b", "EMAIL_ADDRESS")}
        named = pd.DataFrame({"email_user": [one for one, _ in halves], "email_host": [two for _, two in halves]})
        assert kinds(tmp_path, named) == {("email_user+email_host", "EMAIL_ADDRESS")}

    def test_account_numbers_in_groups_of_four(self, tmp_path):
        iban = "DE89370400440532013000"
        columns = {f"g{start}": [iban[start : start + 4]] * 20 for start in range(0, len(iban), 4)}
        assert ("+".join(columns), "IBAN_CODE") in kinds(tmp_path, pd.DataFrame(columns))

    def test_social_security_numbers_where_a_name_says_so(self, tmp_path):
        parts = {"ssn_area": [536, 219, 78] * 10, "ssn_group": [90, 9, 5] * 10, "ssn_serial": [4399, 9999, 1120] * 10}
        assert ("ssn_area+ssn_group+ssn_serial", "US_SSN") in kinds(tmp_path, pd.DataFrame(parts))

    def test_numbers_beside_each_other_are_no_cards(self, tmp_path):
        generator = random.Random(2)
        frame = pd.DataFrame({f"n{index}": [generator.randrange(1000, 9999) for _ in range(400)] for index in range(8)})
        frame["weight"], frame["age"], frame["price"] = 120, 44, 1999
        assert kinds(tmp_path, frame) == set()


class TestNames:
    def test_personal_data_in_column_names_is_found_and_not_shown(self, tmp_path):
        frame = pd.DataFrame({mail: [1, 2, 3] for mail in MAILS[:5]} | {"total": [3, 4, 5]})
        frame.to_csv(tmp_path / "t.csv", index=False)
        (table,) = scan(tmp_path / "t.csv")
        assert found([table]) == {("t.csv.column names", "EMAIL_ADDRESS")}
        assert "person1" not in json.dumps(table.as_dict())

    def test_a_table_turned_on_its_side(self, tmp_path):
        frame = pd.DataFrame({f"client_{name}": [0, 1] for name in PEOPLE})
        frame.to_parquet(tmp_path / "t.parquet")
        (table,) = scan(tmp_path / "t.parquet")
        assert found([table]) == {("t.parquet.column names", "PERSON")}
        assert not any(name in json.dumps(table.as_dict()) for name in PEOPLE[:2])

    def test_mail_addresses_as_names_of_nested_values(self, tmp_path):
        rows = [{"scores": {mail: number}} for number, mail in enumerate(MAILS)]
        (tmp_path / "t.jsonl").write_text("\n".join(map(json.dumps, rows)))
        (table,) = scan(tmp_path / "t.jsonl")
        assert found([table]) == {("t.jsonl.column names", "EMAIL_ADDRESS")}
        assert "person1" not in json.dumps(table.as_dict())

    @pytest.mark.parametrize(
        ("column", "values", "kind"),
        [
            ("Vorname", ["jürgen", "anna", "uwe"], "PERSON"),
            ("prénom", ["Chloé", "Zoë", "Jean-Luc"], "PERSON"),
            ("apellidos", ["García Pérez", "Muñoz", "Núñez"], "PERSON"),
            ("Straße", ["Lindenweg 4", "Am Markt 12", "Gasse 3"], "STREET_ADDRESS"),
            ("dirección", ["Calle Mayor 4", "Plaza Real 12", "Rambla 3"], "STREET_ADDRESS"),
            ("date de naissance", ["12/05/1980", "30/01/1975", "02/11/2001"], "DATE_OF_BIRTH"),
            ("téléphone", ["01 23 45 67 89", "06 12 34 56 78", "04 91 00 11 22"], "PHONE_NUMBER"),
            ("x", ["01 23 45 67 89", "06 12 34 56 78", "04 91 00 11 22"], "PHONE_NUMBER"),
            ("x", ["612 345 678", "+34 612 345 678", "934 123 456"], "PHONE_NUMBER"),
            ("x", ["12345678Z", "X1234567L", "87654321X"], "ES_NIF"),
            ("x", ["1 85 05 78 006 084 91", "255081416802538"], "FR_NIR"),
            ("x", ["86 095 742 719", "47036892816", "65929970489"], "DE_TAX_ID"),
            ("x", ["2001:4860:4860::8888", "2606:4700:4700::1111"], "IP_ADDRESS"),
        ],
    )
    def test_other_languages_and_countries(self, column, values, kind):
        scan = scan_frame(pd.DataFrame({column: values * 6}), "t")
        assert kind in {finding.entity for finding in scan.findings if finding.certain}, scan.findings

    def test_bare_digits_are_no_identifiers_by_chance(self):
        generator = random.Random(3)
        for digits in (9, 10, 11, 12):
            texts = [str(generator.randrange(10 ** (digits - 1), 10**digits)) for _ in range(500)]
            frame = pd.DataFrame({"text": texts, "prefixed": [f"no {text}" for text in texts]})
            frame["number"] = frame.text.astype(int)
            scan = scan_frame(frame, "t")
            assert not [finding for finding in scan.findings if finding.certain], scan.findings
