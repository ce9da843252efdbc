import sqlite3
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlplatform.deidentify.faults import DeidentifyFailed
from mlplatform.deidentify.secrets import Key
from mlplatform.deidentify.vault import EmbeddedVault, Home

KEY = Key(b"a key for nothing but tests")
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
WHO = {"who": "ada", "purpose": "call back, case 81"}


@pytest.fixture
def vault(tmp_path):
    return EmbeddedVault(tmp_path / "vault", KEY, lambda: NOW)


class TestTokens:
    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
    @given(st.lists(st.text(max_size=40), max_size=8))
    def test_values_come_back_and_keep_their_tokens(self, vault, values):
        tokens = vault.tokens("d", values)
        assert vault.tokens("d", values) == tokens
        assert len(set(tokens)) == len(set(values))
        assert vault.reveal("d", tokens, **WHO) == values

    def test_domains_are_apart(self, vault):
        (one,), (other,) = vault.tokens("a", ["Ada"]), vault.tokens("b", ["Ada"])
        assert one != other
        assert vault.reveal("a", [other], **WHO) == [None]

    def test_another_process_sees_the_same(self, vault, tmp_path):
        tokens = vault.tokens("d", ["Ada"])
        assert EmbeddedVault(tmp_path / "vault", KEY).tokens("d", ["Ada"]) == tokens


class TestSealing:
    def test_the_file_holds_no_value_and_is_for_its_owner_alone(self, vault, tmp_path):
        vault.tokens("d", ["Ada Lovelace of London"])
        assert b"Lovelace" not in (tmp_path / "vault").read_bytes()
        assert (tmp_path / "vault").stat().st_mode & 0o777 == 0o600

    def test_another_key_is_told(self, vault, tmp_path):
        with pytest.raises(DeidentifyFailed, match="another key"):
            EmbeddedVault(tmp_path / "vault", Key(b"quite another key altogether"))

    def test_no_vault_at_all(self, tmp_path):
        (tmp_path / "text").write_text("no database at all, though long enough to be one" * 50)
        with pytest.raises(DeidentifyFailed, match="can't be used as a vault"):
            EmbeddedVault(tmp_path / "text", KEY)

    def test_an_entry_put_in_anothers_place_is_noticed(self, vault, tmp_path):
        one, other = vault.tokens("d", ["Ada", "Grace"])
        connection = sqlite3.connect(tmp_path / "vault")
        with connection:
            connection.execute(
                "UPDATE token SET sealed = (SELECT sealed FROM token WHERE token = ?) WHERE token = ?", (one, other)
            )
        connection.close()
        with pytest.raises(DeidentifyFailed, match="was changed"):
            vault.reveal("d", [other], **WHO)


class TestHome:
    def test_it_keeps_where_it_belongs(self, vault, tmp_path):
        assert vault.home == Home()
        vault.belong(Home("https://old.example.org", ("default/b",)))
        vault.belong(Home(None, ("default/a", "default/b")))
        vault.belong(Home("https://ml.example.org"))
        assert EmbeddedVault(tmp_path / "vault", KEY).home == Home("https://ml.example.org", ("default/a", "default/b"))


class TestRecord:
    def test_every_access_is_on_record_with_who_and_why(self, vault):
        (token,) = vault.tokens("d", ["Ada"])
        vault.reveal("d", [token, "tok_none"], **WHO)
        (access,) = vault.accesses()
        assert (access.at, access.who, access.action, access.domain) == (NOW, "ada", "reveal", "d")
        assert (access.tokens, access.found, access.purpose) == (2, 1, "call back, case 81")

    @pytest.mark.parametrize("missing", ["who", "purpose"])
    def test_without_a_purpose_nothing_is_given_out(self, vault, missing):
        (token,) = vault.tokens("d", ["Ada"])
        with pytest.raises(DeidentifyFailed, match="for a purpose"):
            vault.reveal("d", [token], **(WHO | {missing: " "}))

    def test_the_record_can_not_be_edited_or_shortened(self, vault, tmp_path):
        vault.reveal("d", ["tok_none"], **WHO)
        connection = sqlite3.connect(tmp_path / "vault")
        for statement in ("DELETE FROM access", "UPDATE access SET who = 'nobody'"):
            with pytest.raises(sqlite3.IntegrityError, match="the record stays"):
                connection.execute(statement)
        connection.close()

    def test_what_is_forgotten_stands_for_nothing(self, vault):
        (token,) = vault.tokens("d", ["Ada"])
        assert vault.domains() == ["d"]
        assert [vault.holds("d", "Ada"), vault.holds("d", "Bob"), vault.holds("e", "Ada")] == [True, False, False]
        assert vault.forget("d", "Ada", **WHO)
        assert not vault.holds("d", "Ada")
        assert not vault.forget("d", "Ada", **WHO)
        assert vault.reveal("d", [token], **WHO) == [None]
        assert [access.action for access in vault.accesses()] == ["forget", "forget", "reveal"]
        assert vault.tokens("d", ["Ada"]) != [token]
