"""A style file that cannot be used ends a study before it has done anything."""

from phono3py_mlp_plugin.plotting import STYLE_FILE


def test_converge_tells_it_before_it_reads_anything(tmp_path, run):
    (tmp_path / STYLE_FILE).write_text("font.sise: 8")
    command = ["phono3py-mlp", "converge", "absent.yaml", "--mesh", "3", "3", "3"]
    done = run(command, tmp_path)
    assert done.returncode == 1
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith(f"ERROR: {STYLE_FILE}: line 1 = 'font.sise: 8'; expected")
    assert "font.size" in line
    assert [path.name for path in tmp_path.iterdir()] == [STYLE_FILE]
