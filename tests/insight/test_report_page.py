"""The page in a parser and in a browser."""

import base64
import csv
import json
import webbrowser
from html.parser import HTMLParser

from gluon_classics.insight.confusion import write_confusion
from gluon_classics.insight.mistakes import draw_mistakes
from gluon_classics.insight.report_page import open_report, write_report
from gluon_classics.insight.samples import draw_samples
from gluon_classics.training import EpochRecord
from gluon_classics.training.curves import draw_curves

import numpy as np
import pytest
from headless_chromium import Chromium, find_chromium

CLASSES = ("<script>alert(1)</script>", '猫 & "co"', "boot")
MATRIX = np.array([[7, 2, 1], [0, 10, 0], [0, 5, 5]])
# Precision, recall and F1 by hand: 7/7, 7/10, 14/17; 10/17, 10/10, 20/27; 5/6, 5/10, 10/16
SCORES = ["1.000 0.700 0.824", "0.588 1.000 0.741", "0.833 0.500 0.625"]
CONFIG = {
    "net": "lenet",
    "dataset": "folder",
    "seed": 0,
    "flip": False,
    "gpus": None,
    "mean": [0.5, 0.25],
    "net_args": {"num_classes": 3, "aux": True},
    "classes": CLASSES,
    "train_images": 1110,
    "test_images": 30,
    "parameters": 170988,
    "balanced": True,
    "class_counts": dict(zip(CLASSES, (1000, 100, 10))),
    "notes": ["2 test images are in the training set, too: </ul><b>a.png</b>"],
    "command": ["experiments/do_exp.py", "--data-dir", "my photos"],
}
VOID = {"meta", "img", "input", "br", "link", "hr"}


class Parsed(HTMLParser):
    """Tags with their attributes, and the text of each section. Asserts that tags nest."""

    def __init__(self, path):
        super().__init__()
        self.open, self.tags, self.text, self.sections = [], [], "", {}
        self.feed(path.read_text("utf-8"))
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        names = [name for name, _ in attrs]
        assert len(set(names)) == len(names), f"{tag} has an attribute twice"
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "section":
            self.section = dict(attrs)["id"]
            self.sections[self.section] = ""

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" in self.open:
            return
        self.text += data
        if "section" in self.open:
            self.sections[self.section] += " " + " ".join(data.split())

    def all(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]


def record(epoch, **values):
    numbers = dict.fromkeys(EpochRecord.__dataclass_fields__, 0.5)
    return EpochRecord(**{**numbers, "epoch": epoch, "test_loss": None, "test_acc": None, **values})


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run of three classes."""
    run = tmp_path_factory.mktemp("runs") / "lenet-folder"
    run.mkdir()
    write(run, "config.json", CONFIG)
    write(run, "result.json", {"test_acc": 22 / 30, "test_loss": 0.75, "epochs": 2, "seconds": 125.0})
    records = [record(0), record(1, train_loss=0.125)]
    draw_curves(records, run / "curves.png")
    with open(run / "metrics.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, list(EpochRecord.__dataclass_fields__))
        writer.writeheader()
        writer.writerows(map(vars, records))
    write_confusion(MATRIX, CLASSES, run)
    labels = np.repeat([0, 1, 2], 10)
    logits = np.eye(3)[np.concatenate([[j] * MATRIX[i, j] for i in range(3) for j in range(3)]).astype(int)]
    images = np.random.RandomState(0).randint(0, 256, (30, 28, 28, 1)).astype("uint8")
    draw_mistakes(images, labels, logits, CLASSES, run / "mistakes.png")
    draw_samples(images.transpose(0, 3, 1, 2) / 255, labels, CLASSES, run / "samples.png")
    write_report(run)
    return run


def write(run, name, content):
    (run / name).write_text(json.dumps(content))


def test_the_page_nests_and_asks_for_nothing(run):
    page = Parsed(run / "report.html")
    assert page.tags[0][0] == "html" and page.all("title") == [{}]
    assert not {"script", "link", "iframe", "b", "form"} & {tag for tag, _ in page.tags}
    addresses = [attrs[name] for _, attrs in page.tags for name in ("src", "href", "action") if name in attrs]
    assert addresses and all(address.startswith(("#", "data:image/png;base64,")) for address in addresses)
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(set(ids)) == len(ids)
    wanted = [attrs["href"][1:] for attrs in page.all("a")] + [attrs["for"] for attrs in page.all("label")]
    assert wanted and set(wanted) <= set(ids)
    assert "url(" not in (run / "report.html").read_text("utf-8")


def test_the_pictures_are_the_runs_own(run):
    images = Parsed(run / "report.html").all("img")
    assert all(image["alt"] for image in images)
    shown = [base64.b64decode(image["src"].split(",")[1]) for image in images]
    assert shown == [(run / f"{name}.png").read_bytes() for name in ("curves", "confusion", "mistakes", "samples")]


def test_the_content_of_the_page(run):
    page = Parsed(run / "report.html")
    for text in ("lenet on folder", "lenet-folder", "73.33%", "0.7500", "2 min", "170,988", "</ul><b>a.png</b>"):
        assert text in page.text
    classes = page.sections["classes"]
    assert "22 of 30 test images are classified correctly." in classes
    for i, (name, scores, taken) in enumerate(zip(CLASSES, SCORES, (f"{CLASSES[1]} (2)", "", f"{CLASSES[1]} (5)"))):
        row = f"{i} {name} 10 {scores} {taken}".strip()
        assert row in " ".join(classes.split()), row
    assert "10 training images of boot, 1,000 of <script>alert(1)</script>." in page.sections["balance"]
    assert "Balanced sampling (--balanced)" in page.sections["balance"]
    settings = " ".join(page.sections["configuration"].split())
    assert "python experiments/do_exp.py --data-dir 'my photos'" in settings
    for row in ("seed 0", "flip no", "gpus –", "mean 0.5, 0.25", "net_args num_classes 3, aux yes", "balanced yes"):
        assert row in settings
    epochs = " ".join(page.sections["curves"].split())
    assert "train loss" in epochs and "test loss" not in epochs  # the test set was not read
    assert "1 0.125 0.5" in epochs


def test_means_include_a_class_that_is_always_wrong_and_exclude_one_without_images(tmp_path):
    write_confusion(np.array([[4, 0, 0], [4, 0, 0], [0, 0, 0]]), "abc", tmp_path)
    # recall 1 and 0; F1 2 * 4 / (4 + 8) and 0
    assert "Mean over the classes: recall 0.500, F1 0.333." in Parsed(write_report(tmp_path)).sections["classes"]


def test_bars_are_as_long_as_the_shares(run):
    widths = [attrs["style"] for attrs in Parsed(run / "report.html").all("div") if attrs.get("class") == "bar"]
    assert widths[-3:] == ["width:100.0%", "width:10.0%", "width:1.0%"]  # 1000, 100 and 10 images
    assert widths[2] == "width:62.5%"  # F1 of the third class


@pytest.mark.parametrize("balanced, counts, text", [
    (False, (5, 1), "1 training images of b, 5 of a. No balanced sampling"),
    (False, (5, 5), "5 training images of each class. Each class"),
    (None, (5, 1), "1 training images of b, 5 of a. Each class"),
])  # fmt: skip
def test_balance(tmp_path, balanced, counts, text):
    write(tmp_path, "config.json", {"balanced": balanced, "class_counts": dict(zip("ab", counts))})
    assert text in " ".join(Parsed(write_report(tmp_path)).sections["balance"].split())


def test_an_empty_folder_has_a_line_for_each_file(tmp_path):
    page = Parsed(write_report(tmp_path))
    for name in ("result", "config"):
        assert f"{name}.json" in page.text
    for name in ("curves.png", "metrics.csv", "confusion.png", "confusion.csv", "samples.png", "mistakes.png"):
        assert f"{name} is not in the run's folder" in page.text
    assert page.all("img") == []


def test_files_that_cannot_be_read_are_named(tmp_path):
    for name in ("config.json", "result.json", "metrics.csv", "confusion.csv", "curves.png"):
        (tmp_path / name).write_bytes(b'{"net": \xff,,\n1,2')
    (tmp_path / "samples.png").mkdir()
    text = Parsed(write_report(tmp_path)).text
    for name in ("config.json", "result.json", "metrics.csv", "confusion.csv", "curves.png", "samples.png"):
        assert name in text


def test_a_run_that_was_stopped_shows_its_last_epoch(tmp_path):
    (tmp_path / "metrics.csv").write_text("epoch,train_acc,val_acc,seconds\n0,0.5,,30.0\n1,0.625,,31.0\n")
    text = " ".join(Parsed(write_report(tmp_path)).text.split())
    assert "no result.json" in text
    assert "Training accuracy 62.50%" in text.replace("accuracy62", "accuracy 62")
    assert "Validation accuracy" not in text
    assert "61.0 s" in text


def test_names_that_are_not_utf8(tmp_path):
    names = ["\udcff", "ok"]
    write_confusion(np.eye(2, dtype=int), names, tmp_path)
    write(tmp_path, "config.json", {"classes": names})
    assert r"\udcff" in Parsed(write_report(tmp_path)).sections["classes"]


def test_written_again_it_replaces_itself(tmp_path):
    assert write_report(tmp_path) == write_report(tmp_path) == tmp_path / "report.html"
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_a_path_that_is_not_a_folder_is_refused(tmp_path):
    with pytest.raises(ValueError, match="gone is not a folder"):
        write_report(tmp_path / "gone")


def test_the_report_is_opened_as_a_file(tmp_path, monkeypatch):
    opened, said = [], []
    monkeypatch.setattr(webbrowser, "open", lambda url: opened.append(url) or True)
    open_report(tmp_path / "a b.html", said.append)
    assert opened == [tmp_path.as_uri() + "/a%20b.html"] and said == []


@pytest.mark.parametrize("error", [None, webbrowser.Error("could not locate runnable browser")])
def test_without_a_browser_the_path_is_logged(tmp_path, monkeypatch, capsys, error):
    def open_(url):
        if error:
            raise error
        return False

    monkeypatch.setattr(webbrowser, "open", open_)
    open_report(tmp_path / "report.html")
    assert str(tmp_path / "report.html") in capsys.readouterr().out


@pytest.mark.skipif(not find_chromium(), reason="needs chromium (Debian: apt-get install chromium)")
def test_in_a_browser(run, tmp_path):
    browser = Chromium(tmp_path)
    url, background = (run / "report.html").as_uri(), {}
    try:
        for width, scheme in ((1280, "light"), (390, "dark"), (320, "light")):
            browser.open(url, width, scheme)
            assert browser.of("Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown") == []
            requests = [each["request"]["url"] for each in browser.of("Network.requestWillBeSent")]
            assert [each for each in requests if not each.startswith("data:image/png")] == [url]
            assert browser.evaluate("[...document.images].map(image => image.naturalWidth > 0)") == [True] * 4
            assert browser.evaluate("document.documentElement.scrollWidth <= innerWidth")  # only cards scroll sideways
            style = "getComputedStyle(document.{}).{}"
            background[scheme] = browser.evaluate(style.format("body", "backgroundColor"))
            paper = style.format("querySelector('.paper')", "backgroundColor")
            assert browser.evaluate(paper) == "rgb(255, 255, 255)"
        assert background["light"] != background["dark"]
    finally:
        browser.close()
