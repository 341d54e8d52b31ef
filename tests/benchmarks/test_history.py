"""The history of benchmarks grows, and nothing in it changes."""

import history
import pytest

MACHINE = {
    "date": "2026-11-27",
    "processor": "a processor",
    "vectors": "avx2",
    "cores": 2,
    "versions": {"phono3py-mlp-plugin": "0.1.0", "pypolymlp": "0.22.1"},
}


def test_entries_are_added_once_each_and_older_ones_stay(tmp_path):
    path = tmp_path / "history.json"
    first = history.Entry.of("training", "pypolymlp", 13.02976, MACHINE)
    history.add(first, path)
    before = path.read_text().splitlines()[1]
    history.add(first, path)
    assert history.read(path) == [first]
    later = history.Entry.of(
        "training", "phono3py", 14.5, {**MACHINE, "date": "2026-12-01"}
    )
    history.add(later, path)
    assert history.read(path) == [first, later]
    assert path.read_text().splitlines()[1].rstrip(",") == before
    assert first.against == "pypolymlp 0.22.1"
    assert later.against == "phono3py"
    assert first.ratio == 13.03


def test_table_has_the_ratios_by_name_and_date(tmp_path, capsys):
    path = tmp_path / "history.json"
    for name, date in (("b", "2027-01-02"), ("b", "2027-01-01"), ("a", "2027-01-03")):
        entry = history.Entry.of(name, "pypolymlp", 2.0, {**MACHINE, "date": date})
        history.add(entry, path)
    history.main([], path)
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [row[0] for row in rows] == ["benchmark", "a", "b", "b"]
    assert [row[4] for row in rows[1:]] == ["2027-01-03", "2027-01-01", "2027-01-02"]
    history.main(["a"], path)
    assert len(capsys.readouterr().out.splitlines()) == 2
    with pytest.raises(SystemExit, match=r"no entry of c; expected a, b\."):
        history.main(["c"], path)


def test_every_entry_of_this_repository_is_complete():
    entries = history.read()
    assert entries
    assert all(entry.ratio > 0 and entry.version and entry.date for entry in entries)
    assert len(set(entries)) == len(entries)
