"""Policies: what is wrong with a file is said by file, line and rule; what the shipped ones answer; which ones held."""

from pathlib import Path
from typing import Any

import cedarpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.access import cases, policies
from backend.access.engine import Context, Covering
from backend.access.resources import (
    KINDS_OF,
    Action,
    BudgetResource,
    DatasetResource,
    FleetResource,
    IncidentResource,
    ModelResource,
    OwnedResource,
    PlatformResource,
    ProjectResource,
    Resource,
)
from backend.access.service import AccessService, engine_of
from backend.core.config import Settings
from backend.core.config_files import ConfigError
from backend.core.container import Services
from backend.identity.principal import Actor, Principal
from mlplatform.spec.faults import SpecError
from mlplatform.spec.model import Classification
from tests.conftest import SetClock

from .conftest import ADA, CI, EDSGER, GRACE, OPERATOR, PLATFORM_TEAM, RISK, SEARCH, person

pytestmark = pytest.mark.slow

FREEZE = """// no deployments in December; "quoted; words"
@id("acme.freeze")
@because("{principal} can't {action} {resource}: it is December; nothing moves")
forbid (
  principal,
  action == MLPlatform::Action::"deploy",
  resource
) unless { principal in MLPlatform::Role::"administrator" };
"""


def configured(tmp_path: Path, text: str, **sections: Any) -> Settings:
    file = tmp_path / "acme.cedar"
    file.write_text(text)
    access = {"policies": [str(file)], **sections.pop("access", {})}
    return Settings.model_validate({"home": str(tmp_path), "access": access, **sections})


def faults(tmp_path: Path, text: str, **sections: Any) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        engine_of(configured(tmp_path, text, **sections))
    return [one.removeprefix(f"{tmp_path}/") for one in refused.value.faults]


class TestFiles:
    def test_a_policy_of_the_organisation_is_added(self, tmp_path: Path) -> None:
        engine = engine_of(configured(tmp_path, FREEZE))
        model, now = ModelResource("wine", RISK, "local/wine"), SetClock().now()
        refused = engine.ask(ADA, Action.DEPLOY, model, Context(), now)
        assert refused.explanation == (
            "denied by rule acme.freeze because user:default/ada can't deploy wine: it is December; nothing moves"
        )
        assert engine.ask(OPERATOR, Action.DEPLOY, model, Context(), now).allowed
        assert engine.ask(ADA, Action.ROLLBACK, model, Context(), now).allowed

    @pytest.mark.parametrize(
        ("text", "fault"),
        [
            ("permit(principal, action, resource);", "acme.cedar:1: the policy needs a name"),
            (f'{FREEZE}\n@id("No Name") @because("x")\npermit(principal, action, resource);', "acme.cedar:10: the policy needs"),
            (f'{FREEZE}@id("b")\npermit(principal, action, resource);', "acme.cedar:9: rule b: needs @because"),
            (FREEZE * 2, "acme.cedar:10: rule acme.freeze: there is one of that name at acme.cedar:2"),
            (FREEZE.replace("acme.freeze", "data.public"), "acme.cedar:2: rule data.public: there is one"),
            (FREEZE.replace('"deploy"', '"fly"'), "acme.cedar:2: rule acme.freeze: unrecognized action"),
            (FREEZE.replace("principal in", "principal.age in"), "acme.cedar:2: rule acme.freeze: attribute `age`"),
            (FREEZE.replace("unless {", "unless { 1 +"), "acme.cedar:2: rule acme.freeze: "),
            (f"{FREEZE}forbid(", "acme.cedar:9: is no Cedar policy: unexpected end of input"),
            (FREEZE.replace("  principal,\n", "  principal == ?principal,\n"), "acme.cedar:2: a policy with slots"),
            ("this is no policy", "acme.cedar:1: is no Cedar policy: unexpected token"),
            ('@id("x") @because("y") forbid (principal, action, resource) when { "', "acme.cedar:1: rule x: is no Cedar"),
        ],
    )  # fmt: skip
    def test_what_is_wrong_is_said_with_file_line_and_rule(self, tmp_path: Path, text: str, fault: str) -> None:
        assert faults(tmp_path, text)[0].startswith(fault)

    def test_files_that_can_not_be_read_are_named(self, tmp_path: Path) -> None:
        file = tmp_path / "acme.cedar"
        file.write_bytes(b"\n\n\xff")
        for path, said in (
            (file, ":3: is not UTF-8 text"),
            (tmp_path, ": can't be read"),
            (tmp_path / "no", ": can't be"),
        ):
            with pytest.raises(ConfigError) as refused:
                policies.load([path], {})
            assert refused.value.faults[0].startswith(f"{path}{said}")

    @given(st.text(alphabet='permit()forbid;"/\\\n {}@id', max_size=80))
    def test_no_text_makes_the_reader_stumble(self, text: str) -> None:
        schema = cedarpy.Schema.from_str(policies.schema_text())
        said: list[str] = []
        found = list(policies._rules("f", text, schema, said))
        assert not found
        assert bool(said) == bool(list(policies._cut(text)))


class TestLockingOut:
    @pytest.mark.parametrize(
        "text",
        [
            '@id("acme.none") @because("nobody") forbid (principal, action, resource);',
            '@id("acme.none") @because("nobody")\nforbid (principal, action == MLPlatform::Action::"administer", resource);',
        ],
    )
    def test_policies_that_lock_everybody_out_are_refused(self, tmp_path: Path, text: str) -> None:
        (fault,) = faults(tmp_path, text)
        assert fault.startswith("acme.cedar:1: rule acme.none: locks everybody out")

    def test_so_are_settings_without_an_administrator(self, tmp_path: Path) -> None:
        (fault,) = faults(tmp_path, FREEZE, permissions={"platformAdmins": []})
        assert "mlPlatform.permissions.platformAdmins: locks everybody out" in fault

    def test_a_policy_that_leaves_somebody_is_taken(self, tmp_path: Path) -> None:
        text = """@id("acme.few") @because("only the second team")
        forbid (principal, action, resource) unless { principal in MLPlatform::Group::"group:default/second" };"""
        assert faults(tmp_path, text)
        engine_of(configured(tmp_path, text, permissions={"platformAdmins": [PLATFORM_TEAM, "group:default/second"]}))


class TestShippedCases:
    @pytest.mark.parametrize("outcome", cases.run(Settings(), []), ids=lambda one: one.name)
    def test_the_answer_is_as_written(self, outcome: cases.Outcome) -> None:
        assert outcome.passed, outcome.message

    def test_every_shipped_rule_decides_in_some_case(self) -> None:
        text = (Path(policies.__file__).parent / "shipped" / "cases.yaml").read_text()
        assert [one.id for one in policies.load([], {}).rules if one.id not in text] == []

    def test_what_a_policy_of_the_organisation_changes_is_shown(self, tmp_path: Path) -> None:
        failed = [one for one in cases.run(configured(tmp_path, FREEZE), []) if not one.passed]
        assert "a member of the owner group may deploy" in {one.name for one in failed}
        assert all("acme.freeze" in one.message and one.line > 1 for one in failed)

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("cases: []", "cases"),
            ("cases:\n  - {name: x, principal: {ref: ada}, action: read}", "cases.0.principal.ref"),
            (
                "cases:\n  - name: x\n    principal: {ref: user:default/ada}\n    action: fly\n    resource: {platform: true}\n"
                "    expected: {decision: allow}",
                "cases.0.action",
            ),
            (
                "cases:\n  - name: x\n    principal: {ref: user:default/ada}\n    action: read\n    resource: {}\n"
                "    expected: {decision: allow}",
                "name one of model, dataset",
            ),
        ],
    )
    def test_wrong_cases_are_said_with_their_line(self, tmp_path: Path, text: str, said: str) -> None:
        file = tmp_path / "cases.yaml"
        file.write_text(text)
        with pytest.raises(SpecError) as refused:
            cases.run(Settings(), [file])
        assert any(said in f"{one.path} {one.message}" for one in refused.value.faults)


class TestRecord:
    def test_a_change_of_policies_is_an_event_and_old_ones_stay_known(
        self, services: Services, settings: Settings, tmp_path: Path
    ) -> None:
        file = tmp_path / "acme.cedar"
        file.write_text(FREEZE)
        before = services.access.digest
        changed = settings.model_copy(update={"access": settings.access.model_copy(update={"policies": [file]})})
        services.settings = changed
        for _ in range(2):
            again = AccessService(services)
            again.start()
        with services.database.read() as session:
            now = services.clock.now()
            events = services.audit.events(session, "ml-platform.access.policies.changed", now, now.replace(year=2027))
            first, second = (one["data"] for one in events)
        assert (first["previous"], first["policies"], second["previous"]) == (None, before, before)
        assert (second["policies"], second["added"], second["removed"]) == (again.digest, ["acme.freeze"], [])


PEOPLE = st.sampled_from([ADA, GRACE, EDSGER, OPERATOR, CI, person("x", ref="service:robot")])
ACTORS = st.one_of(
    st.none(),
    st.builds(
        Actor,
        st.sampled_from(["user:default/ada", "repository:local/wine", "service:robot"]),
        st.sampled_from([None, "user:default/grace"]),
    ),
)
CONTEXTS = st.builds(
    Context,
    environment=st.sampled_from([None, "lab"]),
    purpose=st.sampled_from([None, "analytics", "model-training", "fun"]),
    approvers=st.sampled_from([None, (), (RISK,), (RISK, SEARCH)]),
    not_author=st.booleans(),
    requester=ACTORS,
    author=ACTORS,
    escalated=st.booleans(),
    decider=ACTORS,
    co_requester=ACTORS,
)
RESOURCES: dict[type, list[Resource]] = {
    ModelResource: [ModelResource("wine", RISK, "local/wine"), ModelResource("wine", "group:default/RISK", "x/y")],
    DatasetResource: [
        *(DatasetResource("default/a", owner, one) for one in Classification for owner in (RISK, None)),
        DatasetResource(None, None, Classification.PII),
    ],
    PlatformResource: [PlatformResource()],
}
OTHERS: dict[Action, Resource] = {
    Action.APPROVE: RESOURCES[ModelResource][0],
    Action.PROMOTE: RESOURCES[ModelResource][0],
    Action.OPEN_CAMPAIGN: FleetResource((RISK, SEARCH)),
    Action.DECIDE_CAMPAIGN: FleetResource((), ref="repository:models/wine"),
    Action.REVOKE_WAIVER: RESOURCES[ModelResource][0],
    Action.HANDLE_INCIDENT: IncidentResource("i", RISK, "local/wine"),
    Action.SET_BUDGET: BudgetResource("team", RISK, RISK),
    Action.CREATE_REPOSITORY: ProjectResource("scaffold:wine", (RISK,)),
    Action.CANCEL_SCAFFOLD: ProjectResource("scaffold:wine", (RISK,), frozenset({"user:default/edsger"})),
    Action.MANAGE_PULL_REQUESTS: ProjectResource("repository:models/wine", ()),
    Action.REGISTER_ENTITIES: ProjectResource("location:local:models/wine", (RISK, SEARCH)),
    Action.UNREGISTER_ENTITIES: ProjectResource("location:local:models/wine", (), frozenset({"user:default/ada"})),
    Action.APPROVE_GRANT: OwnedResource("Grant", "g", RISK, frozenset({"user:default/ada"})),
    Action.REVOKE_GRANT: OwnedResource("Grant", "g", "role:administrator", frozenset()),
    Action.REVIEW_BREAK_GLASS: OwnedResource("Grant", "g", RISK, frozenset()),
    Action.REVIEW: OwnedResource("ReviewItem", "i", RISK, frozenset({"user:default/ada"})),
}
QUESTIONS = [(action, one) for action, kinds in KINDS_OF.items() for kind in kinds for one in RESOURCES[kind]]
ENGINE = engine_of(Settings())


class TestEngine:
    @given(PEOPLE, st.sampled_from([*QUESTIONS, *OTHERS.items()]), CONTEXTS, st.booleans())
    def test_every_question_conforms_to_the_schema_and_has_one_answer(
        self, who: Principal, question: tuple[Action, Resource], context: Context, granted: bool
    ) -> None:
        action, resource = question
        now = SetClock().now()
        grant = Covering("g", "grant", now.replace(year=2027)) if granted else None
        request, entities = ENGINE.request(who, action, resource, context, now, grant)
        checked = cedarpy.is_authorized(request, ENGINE.policies.parsed, entities, policies.schema_text())
        decision = ENGINE.ask(who, action, resource, context, now, grant)
        assert checked.diagnostics.errors == []
        assert checked.allowed == decision.allowed
        assert sorted(checked.diagnostics.reasons) == [one.rule for one in decision.rules]
        assert "{" not in decision.explanation

    @given(PEOPLE, CONTEXTS, st.sampled_from(RESOURCES[DatasetResource]), st.sampled_from([Action.READ, Action.REVEAL]))
    def test_personal_data_is_never_read_without_a_grant_or_a_purpose(
        self, who: Principal, context: Context, data: DatasetResource, action: Action
    ) -> None:
        now = SetClock().now()
        without = ENGINE.ask(who, action, data, context, now)
        granted = ENGINE.ask(who, action, data, context, now, Covering("g", "grant", now.replace(year=2027)))
        if data.classification.level >= Classification.PII.level:
            assert not without.allowed
        if data.classification.level >= Classification.CONFIDENTIAL.level and context.purpose is None:
            assert not granted.allowed

    @given(PEOPLE, CONTEXTS, st.sampled_from([Action.APPROVE, Action.PROMOTE]))
    def test_nobody_decides_about_their_own_where_the_author_may_not(
        self, who: Principal, context: Context, action: Action
    ) -> None:
        decision = ENGINE.ask(who, action, RESOURCES[ModelResource][0], context, SetClock().now())
        doers = [one for one in (context.requester, context.author) if one is not None]
        involved = {one.casefold() for doer in doers for one in (doer.ref, doer.on_behalf_of or doer.ref)}
        own = {who.ref, who.on_behalf_of or who.ref}
        if context.not_author and (involved & own or not all(one.is_known for one in doers)):
            assert not decision.allowed

    def test_the_actions_of_the_schema_are_the_ones_there_are(self) -> None:
        text = policies.schema_text()
        assert [one for one in Action if f'"{one}"' not in text] == []
        assert set(Action) == {action for action, _ in QUESTIONS} | set(OTHERS)
