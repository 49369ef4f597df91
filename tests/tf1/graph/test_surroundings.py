from __future__ import annotations

import threading

import pytest

from holdfast.tf1 import graph as tf


def test_settings_are_accepted_and_read_again() -> None:
    config = tf.ConfigProto(allow_soft_placement=True, gpu_options=tf.GPUOptions(allow_growth=True))
    config.gpu_options.per_process_gpu_memory_fraction = 0.4
    config.graph_options.optimizer_options.global_jit_level = tf.OptimizerOptions.ON_1
    assert config.allow_soft_placement is True
    assert config.gpu_options.allow_growth is True
    assert config.graph_options.optimizer_options.global_jit_level == 1
    assert not config.log_device_placement
    with tf.Graph().as_default(), tf.device("/gpu:0"), tf.Session(config=config) as session:
        options = tf.RunOptions(trace_level=tf.RunOptions.FULL_TRACE)
        assert session.run(tf.constant(2), options=options, run_metadata=tf.RunMetadata()) == 2


def test_what_a_program_asks_of_its_machine() -> None:
    assert tf.test.gpu_device_name() == ""
    assert tf.test.is_gpu_available() is False
    assert tf.__version__.split(".")[0] == "1"
    assert str(tf.VERSION) == "1.15.0"
    assert not tf.executing_eagerly()


def test_bytes_and_text() -> None:
    assert tf.compat.as_bytes("é") == "é".encode()
    assert tf.compat.as_str(b"a") == tf.compat.as_text("a") == tf.compat.as_str_any("a") == "a"
    assert tf.compat.as_str_any(3) == "3"
    with pytest.raises(TypeError, match="Got 3; expected text or bytes"):
        tf.compat.as_text(3)


def test_a_coordinator_stops_threads_together() -> None:
    coordinator = tf.train.Coordinator()
    counts = [0, 0]

    def work(place: int) -> None:
        while not coordinator.should_stop():
            counts[place] += 1
            if counts[place] == 100 and place == 1:
                coordinator.request_stop()

    threads = [threading.Thread(target=work, args=(place,)) for place in (0, 1)]
    threads += tf.train.start_queue_runners(sess=None, coord=coordinator)
    for thread in threads:
        thread.start()
    coordinator.join(threads)
    assert counts[1] == 100
    assert not any(thread.is_alive() for thread in threads)


def test_a_coordinator_raises_the_error_of_a_thread() -> None:
    coordinator = tf.train.Coordinator()

    def fail() -> None:
        with coordinator.stop_on_exception():
            raise ValueError("a bad row")

    thread = threading.Thread(target=fail)
    thread.start()
    with pytest.raises(ValueError, match="a bad row"):
        coordinator.join([thread])
    coordinator.clear_stop()
    assert not coordinator.should_stop()


def test_the_usual_loop_over_queues_ends() -> None:
    coordinator = tf.train.Coordinator()
    threads = tf.train.start_queue_runners(coord=coordinator)
    try:
        raise tf.errors.OutOfRangeError(None, None, "the end")
    except tf.errors.OutOfRangeError:
        pass
    finally:
        coordinator.request_stop()
        coordinator.join(threads)
    assert coordinator.should_stop()
