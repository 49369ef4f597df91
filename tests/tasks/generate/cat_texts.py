"""A text about a cat and a dog, and a task that learns it."""

from holdfast.data import Records
from holdfast.data.vocabulary import Vocabulary
from holdfast.tasks import GenerateTask
from holdfast.tasks.generate.settings import GenerateAnswers, GenerateData, GenerateModel

TEXT = "the cat sat on the mat. the dog sat on the log! who sat on the dog? not the cat.\n" * 3


def task(data=None, model=None, answers=None, text=TEXT):
    data = GenerateData(**{"window": 8, "restart": 0, **(data or {})})
    vocabulary = Vocabulary.fit([text], data.unit, size=data.vocabulary_size, least=data.least)
    settings = GenerateModel(**{"hidden_size": 12, **(model or {})})
    return GenerateTask(data, settings, GenerateAnswers(**(answers or {})), vocabulary, several=True)


def texts(*several):
    return Records(list(several), list(several), [f"{k}.txt" for k in range(len(several))])
