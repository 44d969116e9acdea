from xencbt.harness.exchange import Recorder
from xencbt.harness.masking import Secrets
from xencbt.harness.trial import steps_of


def test_the_steps_of_a_failure_are_what_was_done_and_what_showed_it() -> None:
    recorder = Recorder(Secrets())
    for method, outcome in (
        ("VDI.create", "ok"),
        ("VDI.get_record", "ok"),
        ("VDI.get_uuid", "no answer (closed)"),
        ("task.create", "ok"),
        ("PUT /import_raw_vdi", "ok"),
        ("VDI.enable_cbt", "VDI_MISSING[]"),
        ("VDI.get_cbt_enabled", "ok: true"),
    ):
        recorder.record(method=method, step=method, outcome=outcome, started=0, duration_s=0, request="", response="")
    assert [exchange.step for exchange in steps_of(recorder.kept)] == [
        "VDI.create",
        "VDI.get_uuid",
        "PUT /import_raw_vdi",
        "VDI.enable_cbt",
        "VDI.get_cbt_enabled",
    ]
    assert steps_of(()) == []
