"""Columns with what they hold, made by hand. Nothing in here belongs to anybody: names and numbers are invented or published
for tests."""

PEOPLE = [
    *("Ada Lovelace", "Grace Hopper", "Jürgen Müller", "Wei Zhang", "Fatima Al-Sayed", "Priya Sharma"),
    *("Carlos Hernández", "Olga Petrova", "Kwame Mensah", "Yuki Tanaka", "Tom O'Brien", "Anna Kowalska"),
]
GIVEN = [name.split()[0] for name in PEOPLE]
FAMILY = [name.split()[-1] for name in PEOPLE]
CARDS = ["4111 1111 1111 1111", "5500-0000-0000-0004", "378282246310005", "6011111111111117"] * 3
IBANS = ["DE89370400440532013000", "GB82 WEST 1234 5698 7654 32", "NL91ABNA0417164300"] * 4
PHONES = ["(415) 555-2671", "+49 30 1234567", "020 7946 0958"] * 4
SSNS = ["536-90-4399", "219-09-9999", "078-05-1120"] * 4
STREETS = ["12 Main Street, Springfield", "Musterstraße 12, Berlin", "27 rue de Rivoli, Paris"] * 4

PERSONAL: list[tuple[str, list[object], str]] = [
    ("client", PEOPLE, "PERSON"),
    ("x1", PEOPLE, "PERSON"),
    ("full_name", PEOPLE, "PERSON"),
    ("firstName", GIVEN, "PERSON"),
    ("surname", FAMILY, "PERSON"),
    ("remarks", [f"The customer {name} called about the order, call back" for name in PEOPLE], "PERSON"),
    ("history", [f"Seen by Dr. Smith today, {name} reported headaches again" for name in PEOPLE], "PERSON"),
    ("email", [f"{name.lower()}@example.com" for name in GIVEN], "EMAIL_ADDRESS"),
    ("col_3", [f"{name.lower()}@mail.example.org" for name in GIVEN], "EMAIL_ADDRESS"),
    ("log", [f"user {name}@example.com logged in".lower() for name in FAMILY], "EMAIL_ADDRESS"),
    ("phone", PHONES, "PHONE_NUMBER"),
    ("v17", ["+14155552671", "+442079460958", "+4930901820"] * 4, "PHONE_NUMBER"),
    ("mobile", [4155552671, 4155552672, 2125550199] * 4, "PHONE_NUMBER"),
    ("notes", ["please call me back at 415-555-2671 tonight", "reach me on (212) 736-5000 please"] * 6, "PHONE_NUMBER"),
    ("card", CARDS, "CREDIT_CARD"),
    ("payment", CARDS, "CREDIT_CARD"),
    ("card_number", [4111111111111111, 5500000000000004, 378282246310005] * 4, "CREDIT_CARD"),
    ("v3", [4111111111111111, 5500000000000004, 378282246310005] * 4, "CREDIT_CARD"),
    ("iban", IBANS, "IBAN_CODE"),
    ("b", IBANS, "IBAN_CODE"),
    ("ssn", SSNS, "US_SSN"),
    ("key", SSNS, "US_SSN"),
    ("social_security_number", [536904399, 219099999, 78051120] * 4, "US_SSN"),
    ("home_address", STREETS, "STREET_ADDRESS"),
    ("col7", STREETS, "STREET_ADDRESS"),
    ("date_of_birth", ["1980-05-12", "1975-01-30", "2001-11-02"] * 4, "DATE_OF_BIRTH"),
    ("client_ip", ["8.8.8.8", "1.1.1.1", "93.184.216.34"] * 4, "IP_ADDRESS"),
    ("passport_no", ["X1234567", "L8765432", "C01X00T47"] * 4, "NATIONAL_ID"),
]

PLAIN: list[tuple[str, list[object]]] = [
    ("workclass", ["Private", "Self-emp-not-inc", "State-gov", "Federal-gov"] * 10),
    ("occupation", ["Exec-managerial", "Prof-specialty", "Tech-support", "Sales"] * 10),
    ("marital-status", ["Never-married", "Married-civ-spouse", "Divorced", "Separated"] * 10),
    ("native-country", ["United-States", "Cuba", "Jamaica", "India"] * 10),
    ("city", ["Amsterdam", "New York", "Berlin", "Paris"] * 10),
    ("product", ["Toyota Corolla", "Black Label", "MacBook Pro", "Pinot Noir", "Blue Ridge"] * 8),
    ("product_name", ["Toyota Corolla", "Black Label", "MacBook Pro", "Pinot Noir", "Blue Ridge"] * 8),
    ("grape", ["Merlot", "Cabernet Sauvignon", "Syrah", "Riesling", "Chardonnay"] * 8),
    ("review", ["Great product, works as expected.", "Delivered late, box damaged, refund issued."] * 20),
    ("feedback", ["would buy again, five stars from me", "the colour is not what I expected at all"] * 20),
    ("sku", [f"SKU-{number * 7919 % 100000:05d}-{number % 10}" for number in range(40)]),
    ("uuid", [f"{number:08x}-7a9c-7c53-8f1e-3c1f0f5b1a2b" for number in range(40)]),
    ("sha", [f"{number * 2654435761:040x}" for number in range(40)]),
    ("version", ["1.2.3.4", "2.0.1.9", "10.0.0.1", "3.3.3.3"] * 10),
    ("host", ["127.0.0.1", "10.0.0.7", "192.168.1.20", "172.16.0.9"] * 10),
    ("date", [f"2026-01-{day:02d}" for day in range(1, 29)]),
    ("timestamp", [f"2026-01-02T03:04:{second:02d}Z" for second in range(40)]),
    ("amount_text", [f"{number * 1.2345678:.8f}" for number in range(40)]),
    ("created_ms", [1700000000000 + number * 1009 for number in range(40)]),
    ("created_ns", [1700000000000000000 + number * 1009 for number in range(40)]),
    ("row_id", list(range(40))),
    ("phone_service", [0, 1] * 20),
    ("card_type", [1, 2, 3, 4] * 10),
    ("address_count", [0, 1, 2, 3] * 10),
    ("name_length", [4, 9, 12, 7] * 10),
    ("email_opt_in", ["yes", "no"] * 20),
    ("birth_month", [1, 5, 7, 12] * 10),
    ("latitude", [37.88, 37.86, 34.05, 40.71] * 10),
    ("postcode_area", ["AB", "B", "CB", "DE"] * 10),
    ("mixed", [1, 2.5, None, "low"] * 10),
]
