"""People and numbers in sentences: what context says, what is read once more, and what is neither."""

import pandas as pd
import pytest

from mlplatform.deidentify.text import redacted
from mlplatform.pii import scan_frame
from mlplatform.pii.detectors import Entity, Text
from mlplatform.pii.evidence import Evidence, Seen
from mlplatform.pii.language import PresidioDetector
from mlplatform.pii.prose import FULL, LONE, TOLD, kinds_in, read

PEOPLE = ["Ada Lovelace", "Carlos Hernández", "Olga Petrova", "Tom Miller", "Anna Kowalska", "Jürgen Müller"]
ROWS = 40


class Fixed:
    """A detector that finds what it was told to, and takes nobody for a person when asked again."""

    name = "fixed"

    def __init__(self, *found):
        self.found, self.asked = found, []

    def detect(self, texts, kinds=None):
        self.asked.append([text.value for text in texts])
        return [
            [
                Entity(kind, text.value.index(part), text.value.index(part) + len(part), 0.85)
                for kind, part in self.found
            ]
            if all(part in text.value for _, part in self.found)
            else []
            for text in texts
        ]


def people(text, *found):
    (entities,) = read(Fixed(*found), [Text(text)])
    return {text[one.start : one.end]: one.score for one in entities if one.kind == "PERSON"}


class TestContext:
    @pytest.mark.parametrize(
        ("text", "name", "score"),
        [
            ("Please call Mr. Okonkwo back tonight", "Okonkwo", TOLD),
            ("das hat Frau Quandt so bestellt", "Quandt", TOLD),
            ("la señora Núñez no ha pagado", "Núñez", TOLD),
            ("Merci de rappeler Mme Lefèvre demain", "Lefèvre", TOLD),
            ("My name is Xochitl, I wait since Monday", "Xochitl", TOLD),
            ("Order 12, customer: Ngozi Adeyemi, unpaid", "Ngozi Adeyemi", FULL),
            ("Kunde: Jürgen von der Heide, offen", "Jürgen von der Heide", FULL),
            ("Patient: J. R. Okonkwo seen today", "J. R. Okonkwo", FULL),
        ],
    )
    def test_a_title_or_a_label_says_that_it_is_a_name(self, text, name, score):
        assert people(text) == {name: score}

    @pytest.mark.parametrize(
        ("text", "score"),
        [
            ("we will see Jordan again", LONE),
            ("Hi Jordan, where is my parcel?", TOLD),
            ("my brother Jordan has the key", TOLD),
            ("then Jordan said that it is broken", TOLD),
        ],
    )
    def test_a_lone_name_is_less_certain_than_a_gate_asks_for_unless_context_says_more(self, text, score):
        assert people(text, ("PERSON", "Jordan")) == {"Jordan": score}

    def test_two_names_are_certain_and_lower_case_words_are_none(self):
        assert people("it was Ada Lovelace again", ("PERSON", "Ada Lovelace")) == {"Ada Lovelace": FULL}
        assert people("it was kto ma ochotę again", ("PERSON", "kto ma ochotę")) == {}

    @pytest.mark.parametrize("text", ["he lives at 12 Ada Lovelace now", "near Ada Lovelace Street at noon"])
    def test_who_gives_a_street_its_name_is_no_person_there(self, text):
        ((found,),) = read(Fixed(("PERSON", "Ada Lovelace")), [Text(text)])
        assert (found.kind, found.score) == ("STREET_ADDRESS", LONE)

    def test_what_a_mail_address_is_made_of_is_no_second_finding(self):
        mail = "AdaLovelace@example.com"
        assert people(f"write to {mail} now", ("EMAIL_ADDRESS", mail), ("PERSON", "AdaLovelace")) == {}

    def test_places_and_days_are_not_read_again(self):
        detector = Fixed(("LOCATION", "Berlin"), ("DATE_TIME", "Monday"))
        assert read(detector, [Text("we fly to Berlin next Monday")]) == [[]]
        assert len(detector.asked) == 1


class TestNumbers:
    @pytest.mark.parametrize(
        "text",
        [
            "please call me at (91) 4696-3487",
            "tel 25 761546 from nine on",
            "llámame al 73 170 384",
            "WhatsApp: 9347 4789",
        ],
    )
    def test_what_is_called_is_a_number_whatever_its_country(self, text):
        (found,) = kinds_in(Fixed(), [Text(text)])
        assert found == {"PHONE_NUMBER": LONE}

    @pytest.mark.parametrize(
        "text",
        ["call on 2026-05-12 again", "call 10.0.0.7 instead", "phone bill 1234567.25 due", "text 12345 to win"],
    )
    def test_dates_addresses_and_amounts_are_none(self, text):
        assert kinds_in(Fixed(), [Text(text)]) == [{}]

    @pytest.mark.parametrize("value", ["175.146.56.86", "2026-05-12", "536-90-4399", "4921393894650040", "892000"])
    def test_presidio_is_not_believed_about_other_numbers(self, value):
        assert kinds_in(Fixed(("PHONE_NUMBER", value)), [Text(f"it is {value} now")]) == [{}]

    def test_older_numbers_of_jcb_are_cards(self):
        frame = pd.DataFrame({"note": [f"my card 180017812865703 is lost, order {number}" for number in range(ROWS)]})
        assert ("CREDIT_CARD", ROWS) in {(one.entity, one.count) for one in scan_frame(frame, "t").findings}


class TestColumns:
    def test_a_column_of_text_with_full_names_is_certain(self):
        notes = [f"{PEOPLE[number % 6]} called about order {number} again" for number in range(ROWS)]
        (found,) = [one for one in scan_frame(pd.DataFrame({"x": notes}), "t").findings if one.entity == "PERSON"]
        assert found.certain
        assert found.count >= ROWS // 2

    def test_lone_names_are_reported_and_fail_no_gate(self):
        notes = [f"we should ask {PEOPLE[number % 6].split()[0]} about order {number}" for number in range(ROWS)]
        found = [one for one in scan_frame(pd.DataFrame({"x": notes}), "t").findings if one.entity == "PERSON"]
        assert [one.certain for one in found] == [False]

    def test_reviews_of_products_stay_clean(self):
        reviews = ["The new Volkswagen drives well enough for us", "My MacBook Pro died after a week of use"]
        reviews += ["It was delivered late to Hamburg, box damaged", "Great service in Berlin, five stars from us"]
        found = scan_frame(pd.DataFrame({"review": reviews * 10}), "t").findings
        assert not [one for one in found if one.certain], found

    def test_what_was_seen_adds_up_and_survives_being_written_down(self):
        one, other = Evidence(lone=Seen(2, 0.45)), Evidence(lone=Seen(3, 0.4))
        one.merge(Evidence.from_dict(other.as_dict()))
        assert (one.lone.count, one.lone.score) == (5, 0.45)


def test_redaction_of_text_takes_out_people_that_only_context_tells():
    text = r"Customer: Ngozi Adeyemi\nmy boss Ada Lovelace lives at 12 Ada Lovelace Road"
    done = redacted(text, names=True)
    assert "Ngozi" not in done
    assert "Ada" not in done
    assert "[REDACTED:PERSON]" in done


def test_presidio_tells_what_speaks_against_a_person():
    (found,) = PresidioDetector().detect([Text("We met in Berlin on Monday.")])
    assert {one.kind for one in found} == {"LOCATION", "DATE_TIME"}
