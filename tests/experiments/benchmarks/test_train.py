import importlib
import math
import re
import subprocess
import sys
from types import SimpleNamespace

from gluon_classics.data import load_dataset
from gluon_classics.models import get_model, model_info

import mxnet as mx
import numpy as np
import pytest
from mxnet import gluon, nd


@pytest.fixture
def load(experiments):
    """Import a module of experiments/benchmarks by its name."""
    return lambda name: importlib.import_module(f"benchmarks.{name}")


# Output of oneDNN 2.4.4 (MXNet 1.9.1) and 3.12.0 (PyTorch 2.13)
ONEDNN_2 = """\
dnnl_verbose,exec,cpu,convolution,x64:gemm:jit,forward_training,src_f32::blocked:abcd:f0 wei_f32::blocked:abcd:f0,,alg:convolution_direct,mb64_ic1oc20,9
step
dnnl_verbose,exec,cpu,convolution,x64:gemm:jit,backward_weights,src_f32::blocked:abcd:f0 wei_f32::blocked:abcd:f0 bia_f32::blocked:a:f0 dst_f32::blocked:abcd:f0,,alg:convolution_direct,mb64_ic20oc50_ih12oh10kh3sh1dh0ph0_iw12ow10kw3sw1dw0pw0,18.947
dnnl_verbose,exec,cpu,pooling_v2,jit:avx512_core,backward_data,src_f32::blocked:abcd:f0 dst_f32::blocked:abcd:f0 ws_u8::blocked:abcd:f0,,alg:pooling_max,mb64ic20_ih24oh12kh2sh2dh0ph0_iw24ow12kw2sw2dw0pw0,1.15796
dnnl_verbose,exec,cpu,reorder,simple:any,undef,src_f32::blocked:abcd:f0 dst_f32::blocked:abcd:f0,,,64x20x24x24,0.216064
dnnl_verbose,exec,cpu,convolution,x64:gemm:jit,backward_weights,src_f32::blocked:abcd:f0 wei_f32::blocked:abcd:f0,,alg:convolution_direct,mb64_ic1oc20,2.43604
step
dnnl_verbose,exec,cpu,softmax,jit:avx512_common,forward_training,data_f32::blocked:ab:f0 diff_undef::undef::f0,,alg:logsoftmax axis:1,64x10,0.00805664
end
dnnl_verbose,exec,cpu,softmax,jit:avx512_common,forward_training,data_f32::blocked:ab:f0 diff_undef::undef::f0,,alg:logsoftmax axis:1,64x10,7
"""  # noqa: E501
ONEDNN_3 = """\
step
onednn_verbose,v1,info,cpu,isa:Intel AVX-512 with Intel DL Boost and bfloat16 support
onednn_verbose,v1,primitive,info,template:operation,engine,primitive,implementation,prop_kind,memory_descriptors,attributes,auxiliary,problem_desc,exec_time
onednn_verbose,v1,graph,info,template:operation,engine,partition_id,partition_kind,op_names,data_formats,logical_tensors,fpmath_mode,implementation,backend,exec_time
onednn_verbose,v1,primitive,exec,cpu,convolution,jit_bf16:avx512_core_bf16,forward_training,src:bf16:a:blocked:abcd::f0 wei:bf16:ap:blocked:AcdB16a2b::f0,attr-scratchpad:user,alg:convolution_direct,mb64_ic1oc20,1.69702
onednn_verbose,v1,primitive,exec,cpu,matmul,brg_matmul:avx512_core_bf16,undef,src:bf16::blocked:ab::f0 wei:bf16::blocked:ba::f0 dst:bf16::blocked:ab::f0,attr-scratchpad:user attr-post-ops:sum,,64x2880:2880x10,0.135986
end
"""  # noqa: E501


def test_the_record_of_onednn_2(load):
    first, second = load("onednn_profile").parse(ONEDNN_2.splitlines())
    assert first == {
        "convolution backward weights": pytest.approx(18.947 + 2.43604),
        "pooling backward data": 1.15796,
        "reorder": 0.216064,
    }
    assert second == {"softmax forward": 0.00805664}


def test_the_record_of_onednn_3(load):
    assert load("onednn_profile").parse(ONEDNN_3.splitlines()) == [{"convolution forward": 1.69702, "matmul": 0.135986}]


def test_a_profile_shows_the_fastest_step_and_the_share_of_onednn(load):
    profile = load("onednn_profile")
    record = profile.fastest([{"reorder": 9.0}, {"reorder": 2.0, "sum": 3.0}, {}])
    assert record == {"reorder": 2.0, "sum": 3.0}
    setting = load("setting").Setting("lenet", 256, 28, 1)
    lines = profile.format_profile(setting, {"project": (record, 20.0), "pytorch": ({"matmul": 6.0}, 8.0)})
    cells = [line.split() for line in lines[2:]]
    assert [row[0] for row in cells[:3]] == ["matmul", "sum", "reorder"]
    assert cells[-4:] == [
        ["inside", "oneDNN", "5.00", "6.00"],
        ["outside", "15.00", "2.00"],
        ["a", "step", "20.00", "8.00"],
        ["share", "inside", "oneDNN", "25%", "75%"],
    ]
    lines = profile.format_profile(setting, {"project": (record, 4.0), "pytorch": ({"matmul": 6.0}, 8.0)})
    assert [line.split()[1:] for line in lines if line.startswith("outside")] == [["-1.00", "2.00"]]
    assert [line for line in lines if "disturbed" in line] == [lines[-1]] and lines[-1].startswith("project: ")
    with pytest.raises(load("sides").SideDied, match="recorded nothing"):
        profile.fastest([{}])


def row(side, train, infer, company=False, **more):
    nothing = {"train_synthetic": math.nan, "load": math.nan}
    setting = {"network": "lenet", "size": 28, "batch": 256, "threads": 2}
    return {**setting, "side": side, "company": company, "train": train, "infer": infer, **nothing, **more}


def test_ratios_are_to_the_best_layout_of_each_kind(load):
    train = load("train")
    rows = [
        row("tutorial", 50, 300),
        row("project", 100, 900, load=10_000, train_synthetic=102),
        row("pytorch", 80, 600),
        row("pytorch-channels-last", 90, 500),
        row("project", 60, 450, company=True),
    ]
    float32 = "float32 train", "float32 train", "float32 infer", "float32 input pipeline"
    numbers = ["1.11", "90.0"], ["2.00"], ["1.50", "600.0"], ["1.0%", "2.0%"], ["0.60", "0.50"]
    titles, texts = zip(*(line.strip().split(": ") for line in train.summary(rows)))
    assert titles[:4] == float32 and "project in company" in titles[4]
    assert tuple(re.findall(r"[\d.]+%?", text) for text in texts) == numbers
    assert "channels last" in texts[0] and "contiguous" in texts[2]
    assert train.slower_dtypes(rows) == []
    rows += [row("project-bfloat16", 70, 1), row("pytorch-bfloat16", 71, 1)]
    assert train.slower_dtypes(rows) == ["bfloat16"]


def test_sides_have_the_same_threads_and_the_defaults_of_their_libraries(load, monkeypatch):
    sides, environment = load("train").SIDES, load("sides").environment
    monkeypatch.setenv("GOMP_SPINCOUNT", "1000")
    monkeypatch.setenv("DNNL_MAX_CPU_ISA", "AVX512_CORE_AMX")
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    monkeypatch.setattr("os.sched_getaffinity", lambda process: set(range(8)))
    environments = {name: environment(side, 3) for name, side in sides.items()}
    threads = {name: each["OMP_NUM_THREADS"] for name, each in environments.items()}
    assert threads.pop("tutorial-default-threads") == "4"  # MXNet's default: half of the visible processors
    assert set(threads.values()) == {"3"}
    assert all("DNNL_MAX_CPU_ISA" not in each for each in environments.values())
    assert "GOMP_SPINCOUNT" not in environments["pytorch"]
    assert environments["tutorial"]["GOMP_SPINCOUNT"] == "300000"  # libgomp's documentation: its default


def test_what_is_not_installed_is_left_out(load, monkeypatch, capsys):
    chosen_sides = load("train").chosen_sides
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert list(chosen_sides(["p*"])) == ["project", "project-bfloat16"]
    assert "PyTorch" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="no side is left"):
        chosen_sides(["pytorch*"])
    with pytest.raises(SystemExit, match="the sides are tutorial"):
        chosen_sides(["jax"])


def test_settings(load):
    setting_of = load("train").setting_of
    none = SimpleNamespace(batch_size=None, size=None, tutorial_setting=False)
    assert (setting_of("lenet", none).batch_size, setting_of("lenet", none).size) == (256, 28)
    tutorial = SimpleNamespace(batch_size=None, size=None, tutorial_setting=True)
    assert (setting_of("lenet", tutorial).batch_size, setting_of("lenet", tutorial).size) == (64, 224)
    given = setting_of("resnet50", SimpleNamespace(batch_size=4, size=64, tutorial_setting=False))
    assert (given.batch_size, given.size, given.channels) == (4, 64, 3)


def test_the_sides_of_this_project_and_the_tutorial_run(load):
    setting, sides = load("setting").Setting("lenet", 8, 12, 1), load("train").SIDES
    for name, functions in {
        "project": ["train", "train_synthetic", "load", "infer", "forward_backward"],
        "tutorial": ["train", "infer", "forward_backward"],
    }.items():
        process = load("sides").SideProcess(sides[name], setting, 0.01, threads=1)
        figures = process.turn([*process.functions, "peak_mb"])
        process.close()
        assert list(figures) == [*functions, "peak_mb"]
        assert all(figure > 0 for figure in figures.values())


def test_the_error_of_a_failed_side_has_its_message(load):
    sides, Side = load("sides"), load("setting").Side
    with pytest.raises(sides.SideDied, match="lenetto"):
        sides.SideProcess(Side("project"), load("setting").Setting("lenetto", 8, 12, 1), 0.01, threads=1)


def test_a_side_that_fails_is_left_out_and_the_others_take_turns(load, capsys):
    setting = load("setting")
    sides = {"good": setting.Side("imperative"), "bad": setting.Side("nowhere")}
    args = SimpleNamespace(repeats=2, seconds=0.01)
    turns = load("sides").take_turns(
        sides, setting.Setting("lenet", 2, 12, 1), lambda process: process.turn(["infer"]), args, threads=1, need_mb=1
    )
    assert list(turns) == ["good"] and [list(turn) for turn in turns["good"]] == [["infer"]] * 2
    assert "lenet: bad is left out" in capsys.readouterr().out


def test_a_network_too_large_for_the_memory_is_left_out(load, capsys):
    setting = load("setting").Setting("vgg", 64, 224, 1)
    assert load("sides").take_turns({}, setting, None, SimpleNamespace(repeats=1), 1, need_mb=1e9) == {}
    assert "vgg" in capsys.readouterr().out


@pytest.mark.parametrize("workers, static_shape", [("1", True), ("2", False)])
def test_the_side_of_this_project_is_compiled_as_in_a_run(load, monkeypatch, workers, static_shape):
    # with more than one worker, static_shape lets batch norm's running statistics race
    monkeypatch.setenv("MXNET_CPU_WORKER_NTHREADS", workers)
    flags = []
    monkeypatch.setattr(gluon.HybridBlock, "hybridize", lambda self, **named: flags.append(named))
    setting = load("setting")
    load("train_side_mxnet").project(setting.Side("project"), setting.Setting("lenet", 2, 12, 1))
    assert flags == [{"static_alloc": True, "static_shape": static_shape}]


def test_the_tutorials_loop(load):
    # plain SGD on softmax regression; NumPy computes the expected loss and weights
    tutorial_train = load("train_side_mxnet").tutorial_train
    train, _ = load_dataset("fashion-mnist-sample")
    X, y = train.images[:64].reshape(64, -1).astype("float32") / 255, train.labels[:64]
    net = gluon.nn.Dense(10, in_units=784)
    net.initialize(mx.init.Zero())
    trainer = gluon.Trainer(net.collect_params(), "sgd", {"learning_rate": 0.1})
    batch = nd.array(X), nd.array(y)
    loss, accuracy = tutorial_train([batch], net, gluon.loss.SoftmaxCrossEntropyLoss(), trainer, [mx.cpu()])
    assert loss == pytest.approx(math.log(10), rel=1e-5)  # the loss of equal probabilities
    assert accuracy == pytest.approx((y == 0).mean())
    gradient = (0.1 - np.eye(10)[y]).T @ X / 64
    assert np.allclose(net.weight.data().asnumpy(), -0.1 * gradient, atol=1e-6)


@pytest.mark.parametrize("name", ["lenet", "alexnet", "vgg", "nin", "googlenet", "resnet"])
def test_pytorch_networks_have_equal_outputs(load, name):
    torch = pytest.importorskip("torch", reason="torch is not installed: make test-reference")
    net = get_model(name)
    size = max(net.smallest_size, 28)  # small images, because VGG's dense layers would take a second to fill
    shape = (model_info(name).input_shape[0], size, size)
    theirs = load("torch_networks").build_torch(name, shape).eval()
    net.initialize(mx.init.Xavier())
    images = np.random.RandomState(0).normal(size=(2, *shape)).astype("float32")
    net(nd.array(images))
    mine = list(net._collect_params_with_prefix().values())
    with torch.no_grad():
        tensors = [each for key, each in theirs.state_dict().items() if not key.endswith("num_batches_tracked")]
        assert [tuple(each.shape) for each in tensors] == [each.shape for each in mine]
        for tensor, parameter in zip(tensors, mine):
            tensor.copy_(torch.from_numpy(parameter.data().asnumpy()))
        wanted = theirs(torch.from_numpy(images)).numpy()
    assert np.abs(net(nd.array(images)).asnumpy() - wanted).max() < 1e-4 * wanted.std()


def test_the_pytorch_side_does_not_import_mxnet(experiments):
    pytest.importorskip("torch", reason="torch is not installed: make test-reference")
    code = (
        "from benchmarks import setting, train_side; import sys\n"
        "runs = train_side.functions(setting.Side('pytorch'), setting.Setting('lenet', 4, 28, 1))\n"
        "[run(1) for run in runs.values()]; print('mxnet' in sys.modules, list(runs))"
    )
    finished = subprocess.run(
        [sys.executable, "-c", code],
        cwd=experiments,
        env={"OMP_NUM_THREADS": "1", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert finished.stdout == "False ['train', 'infer', 'forward_backward']\n"


def test_train_side_imports_no_framework_by_itself(experiments):
    code = "import sys; from benchmarks import train_side; print('mxnet' in sys.modules, 'torch' in sys.modules)"
    finished = subprocess.run([sys.executable, "-c", code], cwd=experiments, capture_output=True, text=True, check=True)
    assert finished.stdout == "False False\n"
