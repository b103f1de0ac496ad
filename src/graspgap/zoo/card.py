"""Model cards of the zoo."""

from __future__ import annotations

from graspgap.evaluation.findings import rate_text
from graspgap.evaluation.statistics import wilson_interval
from graspgap.files import read_json
from graspgap.runs import CONFIG
from graspgap.zoo import Entry

USES = {
    "policy": (
        "graspgap evaluate OUT --policy zoo:{name} --attempts 30",
        "graspgap serve --policy zoo:{name}",
        "graspgap export onnx zoo:{name} OUT",
    ),
    "adapter": ("graspgap train OUT --sim DATA --adapter zoo:{name}",),
}


def card(entry: Entry) -> str:
    """The model card of an entry, in Markdown."""
    facts = read_json(entry.folder / CONFIG, "the zoo")
    lines = [f"# {entry.name}", entry.about, ""]
    if entry.attempts:
        rate = rate_text(wilson_interval(entry.successes, entry.attempts))
        where = "the stand-in reality, a second simulated world" if entry.world == "standin" else entry.world
        lines += [
            f"- Success: {entry.successes} of {entry.attempts} attempts, {rate}, in {where}, with objects that nothing "
            f"was trained on (evaluation seed {entry.evaluation_seed}).",
            f"- Real labels it learned from: {entry.real_labels:,} attempts.",
        ]
    lines += [
        f"- Made by `{entry.command}`, with graspgap {facts['versions'].get('graspgap', '')}; settings and software: "
        f"[{CONFIG}]({CONFIG}).",
        "- No robot was involved. Pictures of 64 x 64 pixels; a camera, arm or bin that look otherwise need training "
        "anew, from your own pictures.",
        "",
        "```sh",
        *(use.format(name=entry.name) for use in USES[str(facts["kind"])]),
        "```",
    ]
    return "\n".join(lines) + "\n"
