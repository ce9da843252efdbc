"""``platform check``."""

from pathlib import Path

from mlplatform.cli import options, output, session


@options.command(
    "Check model.yaml and what it refers to: entry points, uv.lock, catalog-info.yaml. Runs none of the model's code.",
    examples=["platform check", "platform check -C ../wine --json"],
)
@options.directory_option
def check(directory: Path, as_json: bool) -> int:
    """Print all faults, each with file, line, column and fix."""
    from mlplatform.pipeline.check import check as run_check
    from mlplatform.spec.faults import describe

    workspace = session.workspace(directory)
    report = run_check(workspace)
    document = {
        "valid": not report.faults,
        "model": report.spec.name,
        "checked": report.checked,
        "faults": [{"file": file, **fault.as_dict()} for file, fault in report.faults],
        "notes": report.notes,
    }

    def human() -> None:
        for file, fault in report.faults:
            output.write(describe(file, fault))
        for note in report.notes:
            output.say(f"note: {note}")
        if report.faults:
            count = len(report.faults)
            output.say(f"{output.mark('failed')}: {count} fault{'s' if count != 1 else ''}")
        else:
            output.write(f"{report.spec.name}: {', '.join(report.checked)} {output.mark('passed')}")

    output.result(document, as_json=as_json, human=human)
    return 1 if report.faults else 0
