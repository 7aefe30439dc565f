#!/usr/bin/env python3
"""Write each role's table of inputs into its README, from the role's argument specs, and that of the fleet's variables.

The table stands between `<!-- inputs:start -->` and `<!-- inputs:end -->`; the rest of a README is left
alone. With --check nothing is written: a README whose table is missing or stale is named, and the exit
code is 1.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROLES = Path(__file__).resolve().parents[1] / "roles"
START = "<!-- inputs:start -->"
END = "<!-- inputs:end -->"
FLEET_VARIABLES = ROLES.parent / "meta" / "fleet_variables.yml"
INVENTORY = ROLES.parent / "docs" / "operators" / "inventory.md"
HEADER = "| input | type | default | meaning |\n| --- | --- | --- | --- |\n"

#: Ansible's semantic markup for options, values, return values, environment variables and plain code.
SEMANTIC_MARKUP = re.compile(r"\b[OVREC]\(([^)]*)\)")


def prose(description: str | list[str]) -> str:
    """Return a description as one table cell."""
    paragraphs = [description] if isinstance(description, str) else description
    text = " ".join(" ".join(paragraph.split()) for paragraph in paragraphs)
    return SEMANTIC_MARKUP.sub(r"`\1`", text).replace("|", r"\|")


def type_cell(option: dict[str, Any]) -> str:
    """Return an option's type: `str`, `list of dict`, `dict`."""
    kind = option.get("type", "str")
    return f"{kind} of {option['elements']}" if "elements" in option else str(kind)


def default_cell(option: dict[str, Any]) -> str:
    """Return an option's default as JSON between backquotes, or `required`, or nothing."""
    if option.get("required"):
        return "required"
    if "default" not in option:
        return ""
    return f"`{json.dumps(option['default'], ensure_ascii=False)}`".replace("|", r"\|")


def rows(options: dict[str, Any], prefix: str = "") -> Iterator[str]:
    """Yield one table row for each option, followed by rows for the options inside it.

    Args:
        options: Options as argument specs write them.
        prefix: What stands before a name: `services[].` inside a list's items, `source.` inside a dictionary.
    """
    for name, option in options.items():
        meaning = prose(option.get("description", ""))
        if "choices" in option:
            choices = ", ".join(f"`{choice}`" for choice in option["choices"])
            meaning = f"{meaning} One of {choices}."
        yield f"| `{prefix}{name}` | {type_cell(option)} | {default_cell(option)} | {meaning} |\n"
        is_list = option.get("type") == "list"
        yield from rows(option.get("options", {}), f"{prefix}{name}{'[].' if is_list else '.'}")


def inputs_table(role: Path) -> str:
    """Return the table of a role's inputs."""
    specs = yaml.safe_load((role / "meta" / "argument_specs.yml").read_text(encoding="utf-8"))
    return HEADER + "".join(rows(specs["argument_specs"]["main"].get("options", {})))


def with_table(readme: str, table: str) -> str:
    """Return a README with the table between the markers.

    Raises:
        ValueError: The README has not exactly one pair of markers.
    """
    before, start, rest = readme.partition(START)
    _old, end, after = rest.partition(END)
    if not (start and end) or START in rest or END in after:
        raise ValueError(f"needs {START} and {END}, once each and in this order")
    return f"{before}{START}\n{table}{END}{after}"


def documents() -> Iterator[tuple[Path, str]]:
    """Yield each file that has a table, and the table."""
    for specs in sorted(ROLES.glob("*/meta/argument_specs.yml")):
        yield specs.parents[1] / "README.md", inputs_table(specs.parents[1])
    variables = yaml.safe_load(FLEET_VARIABLES.read_text(encoding="utf-8"))
    yield INVENTORY, HEADER.replace("input", "variable") + "".join(rows(variables))


def main() -> int:
    """Write or check all tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a table is stale")
    check = parser.parse_args().check
    problems = []
    for file, table in documents():
        name = file.relative_to(ROLES.parent)
        try:
            old = file.read_text(encoding="utf-8")
            new = with_table(old, table)
        except (OSError, ValueError) as error:
            problems.append(f"{name}: {error}")
            continue
        if check and new != old:
            problems.append(f"{name}: its table is stale, run `make docs`")
        elif new != old:
            file.write_text(new, encoding="utf-8")
    print("\n".join(problems), file=sys.stderr, end="\n" if problems else "")
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
