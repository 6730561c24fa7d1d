"""The command python -m gluon_classics convert."""

import argparse

from gluon_classics.__main__ import main
from gluon_classics.commands import convert as command
from gluon_classics.models import get_model

import numpy as np
import pytest
from mxnet import nd
from source_weights import source_weights


@pytest.fixture(scope="module")
def weights():
    return source_weights("gluoncv", "resnet18", num_classes=7, in_channels=1)


@pytest.fixture(scope="module")
def file(weights, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "theirs.params"
    nd.save(str(path), {name: nd.array(array) for name, array in weights.items()})
    return path


def arguments(file, output, *more, source="gluoncv", net="resnet18"):
    return ["convert", "--from", source, str(file), "--net", net, "-o", str(output), *more]


def refused(capsys, argv):
    """The error message of a command that fails."""
    assert main(argv) == 2
    out, error = capsys.readouterr()
    assert out == "" and error.startswith("gluon_classics: error: ") and "Traceback" not in error
    return error


def test_a_file(file, weights, tmp_path, capsys):
    output = tmp_path / "ours.params"
    assert main(arguments(file, output)) == 0
    out = capsys.readouterr().out
    assert f"read {file}: gluoncv's resnet18_v1b, 102 tensors" in out
    # 11,689,512 with 1000 classes and 3 channels
    parameters = 11_689_512 - 993 * 513 - 2 * 64 * 49
    assert f"wrote {output}: resnet18, 102 tensors, {parameters:,} parameters" in out
    assert [path.name for path in tmp_path.iterdir()] == ["ours.params"]

    import gluon_classics.models

    scope = {"gluon_classics": gluon_classics}
    exec("\n".join(line.strip() for line in out.splitlines() if line.startswith("  ")), scope)
    net = scope["net"]
    assert np.array_equal(net.fc.bias.data().asnumpy(), weights["fc.bias"])
    assert net(nd.ones((1, 1, 32, 32))).shape == (1, 7)


def test_heads_are_kept_or_dropped(tmp_path, capsys):
    pytest.importorskip("safetensors")
    from safetensors.numpy import save_file

    file = tmp_path / "theirs.safetensors"
    save_file(source_weights("torchvision", "inception_v3", num_classes=3, aux=True), file)
    output = tmp_path / "ours.params"
    assert main(arguments(file, output, source="torchvision", net="inception_v3")) == 0
    out = capsys.readouterr().out
    assert "dropped 12 tensors of auxiliary heads: AuxLogits." in out
    assert "transform_input" in out
    get_model("inception_v3", num_classes=3).load_parameters(str(output))
    assert main(arguments(file, output, "--aux", source="torchvision", net="inception_v3")) == 0
    out = capsys.readouterr().out
    assert "\ndropped" not in out and "aux=True" in out
    get_model("inception_v3", num_classes=3, aux=True).load_parameters(str(output))


def test_num_classes_and_in_channels_that_do_not_match(file, tmp_path, capsys):
    output = tmp_path / "ours.params"
    message = refused(capsys, arguments(file, output, "--num-classes", "1000", "--in-channels", "3"))
    assert f"{file}: these weights do not fit" in message
    assert "num_classes: the file has 7, the network 1000" in message
    assert "in_channels: the file has 1, the network 3" in message
    assert "num_classes is 0" in refused(capsys, arguments(file, output, "--num-classes", "0"))
    assert not output.exists()


def test_weights_of_another_network(file, tmp_path, capsys):
    message = refused(capsys, arguments(file, tmp_path / "ours.params", net="resnet34"))
    assert "They fit resnet18 from gluoncv: --from gluoncv --net resnet18" in message
    assert list(tmp_path.iterdir()) == []


def test_existing_output_survives_a_failure(file, tmp_path, capsys, monkeypatch):
    output = tmp_path / "ours.params"
    output.write_bytes(b"old")
    refused(capsys, arguments(file, output, "--num-classes", "1000"))

    def full_disk(self, filename, deduplicate=False):
        with open(filename, "wb") as part:
            part.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("mxnet.gluon.HybridBlock.save_parameters", full_disk)
    message = refused(capsys, arguments(file, output))
    assert f"{output}: cannot be written: No space left on device" in message
    assert output.read_bytes() == b"old" and len(list(tmp_path.iterdir())) == 1


def test_a_checkpoint_with_plain_and_averaged_weights(weights, tmp_path, capsys):
    file, output = tmp_path / "checkpoint.bin", tmp_path / "ours.params"
    sets = {"model": 1.0, "model_ema": 2.0}
    nd.save(str(file), {f"{key}.{name}": nd.full(a.shape, v) for key, v in sets.items() for name, a in weights.items()})
    for key, value, note in ((None, 2, True), ("model", 1, False), ("model_ema", 2, False)):
        assert main(arguments(file, output, *(["--key", key] if key else []))) == 0
        out = capsys.readouterr().out
        assert ("note: took the averaged weights 'model_ema'" in out) == note and "102 tensors" in out
        assert nd.load(str(output))["fc.bias"].asnumpy().tolist() == [value] * 7
    assert "did you mean model" in refused(capsys, arguments(file, output, "--key", "modle"))


@pytest.mark.parametrize(
    "change, words",
    [
        ({"source": "torchvison"}, "did you mean torchvision?"),
        ({"net": "resnet20"}, "did you mean resnet"),
        ({"net": "xception"}, "gluoncv has no xception; xception comes from timm"),
        ({"net": "lenet"}, "gluoncv has no lenet; no source has lenet"),
    ],
)
def test_unknown_names(file, tmp_path, capsys, change, words):
    assert words in refused(capsys, arguments(file, tmp_path / "ours.params", **change))


def test_output_path_is_checked_before_reading(tmp_path, capsys):
    file = tmp_path / "not-there.params"
    assert "there is no folder" in refused(capsys, arguments(file, tmp_path / "folder" / "ours.params"))
    assert "is a folder" in refused(capsys, arguments(file, tmp_path))
    assert f"{file}: cannot be read: No such file" in refused(capsys, arguments(file, tmp_path / "ours.params"))


def test_aux_for_a_network_without_heads(file, tmp_path, capsys):
    output = tmp_path / "ours.params"
    assert "resnet18 has no auxiliary heads: leave out --aux" in refused(capsys, arguments(file, output, "--aux"))


def test_run_accepts_what_add_arguments_parses(file, tmp_path):
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    args = parser.parse_args(arguments(file, tmp_path / "ours.params")[1:])
    assert command.run(args) == 0


def test_output_never_replaces_the_input_or_a_device(tmp_path):
    source = tmp_path / "net.params"
    source.write_bytes(b"weights")
    (tmp_path / "link.params").symlink_to("/dev/null")
    cases = {"net.params": "would be replaced", "link.params": "not a regular file", "net.pth": "end in"}
    for output, words in cases.items():
        with pytest.raises(ValueError, match=words):
            command._check_output(tmp_path / output, source)
    assert source.read_bytes() == b"weights"
