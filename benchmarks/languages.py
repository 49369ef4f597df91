"""The languages of the READMEs: the words of their tables, and how their paragraphs are broken into lines."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

WIDTH = 120


@dataclass(frozen=True)
class Language:
    """A language in which the tables are written.

    Attributes:
        words: Its sentences and labels by the English ones; None for English.
    """

    words: Mapping[str, str] | None = None

    def say(self, text: str, **values: object) -> str:
        """A sentence or label with its values; one without a translation is a KeyError, never left in English."""
        return (text if self.words is None else self.words[text]).format(**values)

    def label(self, name: str) -> str:
        """The name of a case, part by part."""
        return self.say(", ").join(self.say(part) for part in name.split(", "))

    def paragraph(self, text: str, indent: str = "") -> str:
        """English in lines of at most 120 characters; Chinese in one, as a line break in it would show as a space."""
        if self.words is not None:
            return text
        return textwrap.fill(text, WIDTH, subsequent_indent=indent, break_on_hyphens=False, break_long_words=False)


# Whole sentences, headings and labels; `{...}` is filled in after the translation.
_CHINESE = {
    "{count} thread": "{count} 个线程",
    "{count} threads": "{count} 个线程",
    " and ": " 和 ",
    ", ": "，",
    "; ": "；",
    (
        "{machine}; {versions}; float32; {date}. The figures of a peer are its time divided by ours, forward / "
        "training step (with the gradients of all parameters): above 1, Holdfast is faster. They are medians of runs "
        "in turn, of layers that gave the same numbers."
    ): (
        "{machine}；{versions}；float32；{date}。与其他软件比较的数字是对方的用时除以 Holdfast 的用时，"
        "写作“前向传播 / 一个训练步（含所有参数的梯度）”：大于 1 表示 Holdfast 更快。"
        "数字取各方轮流运行的中位数，参与比较的层给出相同的数值。"
    ),
    (
        " The products are the matrix products alone, by torch.mm; their time divided by ours is above 100 % where our "
        "whole layer takes less time."
    ): (
        "“矩阵乘积”只包括用 torch.mm 计算的矩阵乘积：其用时除以 Holdfast 的用时，"
        "超过 100 % 表示 Holdfast 的整个层用时反而更短。"
    ),
    " onnxruntime has no switch for {lesser}; it always uses the best set of the processor.": (
        "onnxruntime 没有改用 {lesser} 的开关，总是使用处理器支持的最好的指令集。"
    ),
    "layer (B, T, I, H)": "层 (B, T, I, H)",
    "time": "用时",
    "of the products": "矩阵乘积",
    "torch.nn": "torch.nn",
    "onnxruntime": "onnxruntime",
    "OpenVINO": "OpenVINO",
    "Keras": "Keras",
    "{set}: {heading}": "{set}：{heading}",
    "Cells that are called {steps} times in a loop, compared with torch.nn's cells; H units and as many inputs.": (
        "在循环中调用 {steps} 次的循环单元，与 torch.nn 的循环单元比较；H 个隐藏单元，输入数相同。"
    ),
    "cell": "循环单元",
    "option": "选项",
    "The cost of an option: our time with it divided by our plain LSTM's, forward / training step.": (
        "选项的代价：Holdfast 使用该选项的用时除以其普通 LSTM 的用时，前向传播 / 一个训练步。"
    ),
    "{title}: {ratios} times as fast as our float32.": "{title}：速度是 Holdfast 的 float32 的 {ratios} 倍。",
    "{title}, 60,000 images, {units} units: {time} s; {peers}.": (
        "{title}，60,000 幅图像，{units} 个隐藏单元：{time} s；{peers}。"
    ),
    "{name} {time} s ({ratio})": "{name} {time} s（{ratio}）",
    "Memory of a training step, {title}: {sizes}.": "一个训练步占用的内存，{title}：{sizes}。",
    " Recomputing takes {ratio} times as long as keeping everything.": "重算的用时是全部保留的 {ratio} 倍。",
    "holdfast": "holdfast",
    "holdfast with recompute": "分段重算的 holdfast",
    "keras-jax": "keras-jax",
    "LSTM": "LSTM",
    "GRU": "GRU",
    "RNN": "RNN",
    "LSTMCell": "LSTMCell",
    "GRUCell": "GRUCell",
    "RNNCell": "RNNCell",
    "2 layers": "2 层",
    "bidirectional": "双向",
    "lengths T/2 to T": "长度 T/2 到 T",
    "one row": "单个序列",
    "one step by a layer": "用层计算一步",
    "one step of a stream": "用流计算一步",
    "bfloat16 weights": "bfloat16 权重",
    "int8 weights": "int8 权重",
    "bfloat16": "bfloat16",
    "long": "长序列",
    "MNIST epoch": "MNIST 一轮",
    "peepholes": "窥视孔连接",
    "coupled gates": "耦合门",
    "zoneout": "zoneout",
    "recurrent dropout": "循环 dropout",
    "state": "状态",
    "candidate": "候选值",
    "cell clip": "单元状态裁剪",
    "layer norm": "层归一化",
    "projection to half": "投影到一半",
    "state of every step": "每一步的状态",
}

ENGLISH, CHINESE = Language(), Language(_CHINESE)


def language_of(readme: Path) -> Language:
    """Chinese for ``README.zh-CN.md``, otherwise English."""
    return CHINESE if readme.name.endswith(".zh-CN.md") else ENGLISH
