# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Controller side of edge_slm.fleet.look (its documentation is in plugins/modules)."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from ansible.errors import AnsibleError
from ansible.template import Templar
from ansible.utils.vars import load_extra_vars
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.network import as_proxies, proxy_environment
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.problems import Problems
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.spec import check
from ansible_collections.edge_slm.fleet.plugins.module_utils.fleet import questions
from ansible_collections.edge_slm.fleet.plugins.module_utils.fleet.fit import PIPELINE
from ansible_collections.edge_slm.fleet.plugins.module_utils.fleet.questions import (
    BUILDER,
    CHAT,
    GATEWAY,
    Question,
)
from ansible_collections.edge_slm.fleet.plugins.module_utils.fleet.services import (
    FleetError,
    chat_endpoints,
    plan_device,
    service_ports,
)
from ansible_collections.edge_slm.fleet.plugins.module_utils.fleet.variables import ineffective, misspelt
from ansible_collections.edge_slm.fleet.plugins.module_utils.plans.base import Plan
from ansible_collections.edge_slm.fleet.plugins.module_utils.plans.registry import ON_HOSTS
from ansible_collections.edge_slm.fleet.plugins.plugin_utils.fleet_plan import (
    FleetVariables,
    served,
    with_gateway,
)
from ansible_collections.edge_slm.fleet.plugins.plugin_utils.looking import LookingAction
from ansible_collections.edge_slm.fleet.plugins.plugin_utils.roles import (
    MAPPINGS,
    operators_variable,
    read_fleet_variables,
    read_mapping,
    read_role,
)

#: What cannot be put down to one role is refused under this name.
INVENTORY = "inventory"


# Ansible imports this in its first process, from which those of all hosts are forked: read here, read once.
read_fleet_variables()
for mapping in MAPPINGS:
    read_mapping(mapping)
for role in ON_HOSTS:
    read_role(role)


def flat(wrong: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the sentences about all variables."""
    return [sentence for sentences in wrong.values() for sentence in sentences]


def set_by_roles(variables: Mapping[str, Any]) -> set[str]:
    """Return the inputs that roles have given their defaults in this run, because they were set to null."""
    plans = (variables.get(f"__{role}_plan") or {} for role in ON_HOSTS)
    return {name for plan in plans for name in plan.get("empty") or {}}


def without_consequences(refusals: Iterable[str], wrong: Container[str]) -> list[str]:
    """Return those refusals that are not about a variable that was found wrong and left out."""
    return [sentence for sentence in refusals if sentence.partition(":")[0] not in wrong]


class ActionModule(LookingAction):
    """Ask the plans of all roles that the inventory gives a host."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return all plans; what they refuse is not a failure of this task."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        variables = dict(task_vars or {})
        wrong = self._fleet_problems(variables)
        if "edge_slm_deep" in wrong:  # the task's own argument is made of it
            return {**result, "plans": {INVENTORY: Plan(refusals=flat(wrong)).as_dict()}}
        # What else is wrong is found as if these were not given, and follows from nothing that they are needed for.
        variables = {name: value for name, value in variables.items() if name not in wrong}
        _spec, given = self.validate_argument_spec(
            {
                "roles": {"type": "list", "elements": "str", "default": []},
                "deep": {"type": "bool", "default": False},
                "weigh": {"type": "str", "choices": ["pending", "all"], "default": "pending"},
                "seconds": {"type": "int", "default": 60},
            }
        )
        asked = set(given["roles"] or ON_HOSTS)
        refusals = self._name_problems(variables, asked)
        facts = dict(variables.get("ansible_facts") or {})
        wanted = self._questions(variables, facts, asked, refusals)
        variables["ansible_facts"] = facts
        weighing = {"weigh": given["weigh"], "outbound": facts["edge_slm_outbound"]}
        answers = self.ask(
            [self._with_mapping(question, wrong, weighing) for question in wanted if question.role in asked],
            variables,
            {"deep": given["deep"], "seconds": given["seconds"]},
        )
        if answers.failure:
            return {**result, **answers.failure}
        for plan in answers.plans.values():
            plan["refusals"] = without_consequences(plan["refusals"], wrong)
        if refusals or wrong:
            refusals = [*flat(wrong), *without_consequences(refusals, wrong)]
            answers.plans[INVENTORY] = Plan(refusals=refusals).as_dict()
        facts_found = {
            **answers.facts,
            "edge_slm_plan": facts.get("edge_slm_plan", {}),
            "edge_slm_service_ports": facts["edge_slm_service_ports"],
            "edge_slm_outbound": facts["edge_slm_outbound"],
            "edge_slm_fleet_endpoints": facts.get("edge_slm_fleet_endpoints", []),
        }
        pending = any(plan["pending"] for name, plan in answers.plans.items() if not questions.is_for_others(name))
        return {
            **result,
            # In check mode no role is entered: this is what a run would change. Only with it --diff shows the diff.
            "changed": pending and self._task.check_mode,
            "plans": answers.plans,
            "timings": answers.timings,
            "diff": answers.diff,
            "ansible_facts": facts_found,
        }

    def _questions(
        self, variables: Mapping[str, Any], facts: dict[str, Any], asked: set[str], refusals: list[str]
    ) -> list[Question]:
        """Return what the host is asked for; its device plan becomes a fact, problems become refusals."""
        groups = variables["group_names"]
        # A role that has tried in this run whether a key lets the controller in knows more than the host.
        unproven = (variables.get("__host_baseline_proof") or {}).get("proven") is False
        found = questions.baseline_questions(groups, unproven)
        board = questions.board_of(groups)
        facts["edge_slm_service_ports"] = self._service_ports(variables, board, refusals)
        facts["edge_slm_outbound"] = self._outbound(variables, refusals)
        if asked <= set(questions.BASELINE_ROLES):
            return found
        builder = questions.builder_questions() if BUILDER in groups else []
        device: list[Question] = []
        try:
            if board:
                device = self._device_questions(variables, facts, board)
            if GATEWAY in groups:
                device += self._gateway_questions(variables, facts)
            if CHAT in groups:
                device += self._chat_questions(variables, facts)
        except FleetError as error:
            refusals += str(error).splitlines()
        return questions.merged(found, builder, device)

    def _chat_questions(self, variables: Mapping[str, Any], facts: dict[str, Any]) -> list[Question]:
        """Return what a host with a chat page is asked for; what the page can ask becomes a fact.

        Raises:
            FleetError: With what is wrong with the fleet's variables.
        """
        facts["edge_slm_fleet_endpoints"] = [
            endpoint for device in served(self._loader, variables) for endpoint in chat_endpoints(*device)
        ]
        return questions.chat_questions(self._certificates(FleetVariables(self._loader, variables)))

    def _service_ports(self, variables: Mapping[str, Any], board: str, refusals: list[str]) -> list[int]:
        """Return the ports that the firewall opens to clients; a baseline alone needs no services."""
        templar = Templar(loader=self._loader, variables=variables)
        try:
            return service_ports(templar.template(variables.get("edge_slm_services")), board)
        except AnsibleError as error:
            refusals.append(f"edge_slm_services: cannot be evaluated: {error}")
            return []

    def _outbound(self, variables: Mapping[str, Any], refusals: list[str]) -> dict[str, str]:
        """Return the variables by which a host gets out; the builder's store is asked directly."""
        templar = Templar(loader=self._loader, variables=variables)
        name, store = "edge_slm_proxy_environment", "edge_slm_artifact_url"
        problems = Problems(refusals)
        try:
            proxies = as_proxies(templar.template(variables.get(name)), name, problems)
            name = store
            host = urlsplit(str(templar.template(variables.get(store)) or "")).hostname
        except AnsibleError as error:
            problems.add(name, f"cannot be evaluated: {error}")
            return {}
        return proxy_environment(proxies, [host] if host else [])

    def _fleet_problems(self, variables: Mapping[str, Any]) -> dict[str, list[str]]:
        """Return what is wrong with the values of the fleet's variables, by variable."""
        specs = read_fleet_variables()
        found: dict[str, list[str]] = {}
        templar = Templar(loader=self._loader, variables=variables)
        # Lists of entries are left to what reads them.
        for name in [name for name in specs if name in variables and specs[name].get("elements") != "dict"]:
            problems = Problems()
            try:
                check(name, templar.template(variables[name]), specs[name], problems)
            except AnsibleError as error:
                problems.add(name, f"cannot be evaluated: {error}")
            if problems.found:
                found[name] = problems.found
        return found

    def _name_problems(self, variables: Mapping[str, Any], asked: set[str]) -> list[str]:
        """Return which names are not known: of variables, of roles that are asked for; and a host of two boards."""
        mapped = {name: value for mapping in MAPPINGS for name, value in read_mapping(mapping).items()}
        problems = Problems(misspelt(variables, read_fleet_variables(), {*mapped, *read_mapping("hosts")}))
        given = set(variables) - set(load_extra_vars(self._loader)) - set_by_roles(variables)
        problems.found += ineffective(given, {name: operators_variable(value) for name, value in mapped.items()})
        problems.found += questions.group_problems(variables["inventory_hostname"], variables["group_names"])
        for name in sorted(asked - {*ON_HOSTS}):
            problems.add("edge_slm_roles", f"{name!r} is not a role of a host; there are {', '.join(ON_HOSTS)}.")
        return problems.found

    def _device_questions(self, variables: Mapping[str, Any], facts: dict[str, Any], board: str) -> list[Question]:
        """Return what a device is asked for.

        Raises:
            FleetError: With what is wrong with the fleet's variables.
        """
        fleet = FleetVariables(self._loader, variables)
        plan = plan_device(fleet.value("edge_slm_services"), fleet.value("edge_slm_models"), board)
        facts["edge_slm_plan"] = plan.as_dict()
        builders = variables["groups"].get(BUILDER, [])
        release = None
        if builders:
            if variables.get("edge_slm_artifact_url") is None:
                raise FleetError(
                    "edge_slm_artifact_url: is not set, but the inventory has a builder; give the address at which "
                    "devices reach its artifact store, for example http://builder-01:8090."
                )
            release = self._release_inputs(variables, builders[0]) if board in questions.RECEIVERS else None
        return questions.device_questions(
            plan.engines, plan.wanted, self._certificates(fleet), release, prepares=not builders
        )

    def _gateway_questions(self, variables: Mapping[str, Any], facts: dict[str, Any]) -> list[Question]:
        """Return what a gateway is asked for; what it offers becomes part of the host's plan.

        Raises:
            FleetError: With what is wrong with the fleet's variables.
        """
        facts["edge_slm_plan"] = with_gateway(facts.get("edge_slm_plan", {}), self._loader, variables)
        return questions.gateway_questions(self._certificates(FleetVariables(self._loader, variables)))

    def _certificates(self, fleet: FleetVariables) -> bool:
        """Return whether the role endpoint_tls is asked.

        Raises:
            FleetError: Certificates are wanted and are not.
        """
        tls = bool(fleet.value("edge_slm_tls", "edge_slm_tls_mode"))
        if fleet.scope.get("endpoint_tls_state") != "absent":
            return tls
        if tls:
            raise FleetError('endpoint_tls_state: is absent, but there is TLS; set edge_slm_tls_mode to "off".')
        return True

    def _release_inputs(self, variables: Mapping[str, Any], builder: str) -> dict[str, Any]:
        """Return the builder's inputs that name its release, evaluated with the builder's variables."""
        theirs = variables["hostvars"].raw_get(builder)
        scope = {**read_role("llama_cpp").variables, **theirs, "hostvars": variables["hostvars"]}
        templar = Templar(loader=self._loader, variables=scope)
        try:
            return {name: templar.template(scope[name]) for name in questions.RELEASE_INPUTS}
        except AnsibleError as error:
            raise FleetError(f"llama_cpp_source: of {builder} cannot be evaluated: {error}") from error

    def _with_mapping(self, question: Question, wrong: Container[str], weighing: Mapping[str, Any]) -> Question:
        """Return the question with the fleet's mappings under its own variables; -e wins over both."""
        more = weighing if question.role == PIPELINE else {}
        extra = {name: value for name, value in load_extra_vars(self._loader).items() if name not in wrong}
        mapping = {
            name: value for part in ("network", *question.mappings) for name, value in read_mapping(part).items()
        }
        variables = {**mapping, **question.variables, **extra}
        return Question(question.name, question.role, (), variables, {**question.extra, **more})
