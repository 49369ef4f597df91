"""The names that Holdfast does not run, each with what to do instead. A program may import them."""

from __future__ import annotations

from holdfast.tf1.graph.names import refuse

_FEED = (
    "Read the data with Python or NumPy, and feed arrays through placeholders: session.run(..., feed_dict={x: data})."
)
refuse(
    _FEED,
    "data.TextLineDataset", "data.TFRecordDataset", "data.FixedLengthRecordDataset",
    "data.experimental", "contrib.data", "TFRecordReader", "TextLineReader",
    "WholeFileReader", "FixedLengthRecordReader", "FIFOQueue", "RandomShuffleQueue", "PaddingFIFOQueue", "read_file",
    "decode_csv", "decode_raw", "parse_example", "parse_single_example", "parse_single_sequence_example",
    "train.range_input_producer", "train.string_input_producer", "train.slice_input_producer", "train.input_producer",
    "train.batch", "train.batch_join", "train.shuffle_batch", "train.shuffle_batch_join", "train.limit_epochs",
    "train.QueueRunner", "train.queue_runner.QueueRunner", "train.match_filenames_once", "python_io", "train.Example",
    "train.Feature", "train.Features", "train.SequenceExample", "contrib.training",
)  # fmt: skip
refuse(
    "Do it in Python before the run: str.split, int() and float(), re; and feed the numbers.",
    "string_split", "string_to_number", "strings", "string_join", "string_to_hash_bucket_fast", "regex_replace",
    "as_string", "substr", "contrib.lookup", "lookup", "contrib.text",
)  # fmt: skip
refuse(
    "Write the loop with tf.Session: session.run(train_op, feed_dict) for each batch.",
    "train.Supervisor", "train.MonitoredTrainingSession", "train.MonitoredSession", "train.SessionRunHook",
    "train.SingularMonitoredSession", "train.LoggingTensorHook", "train.StopAtStepHook", "train.CheckpointSaverHook",
    "train.Scaffold", "contrib.slim.learning", "contrib.slim.evaluation",
)  # fmt: skip
refuse(
    "Write the model with tf.nn.dynamic_rnn and a session, or train it by `holdfast train`: docs/recipes.md.",
    "estimator", "contrib.estimator", "contrib.learn.Estimator", "contrib.learn.Experiment",
    "contrib.learn.DNNClassifier", "contrib.learn.DNNRegressor", "contrib.learn.LinearClassifier",
    "contrib.learn.LinearRegressor", "contrib.learn.SKCompat", "contrib.learn.ModeKeys", "contrib.learn.models",
    "contrib.learn.ops", "contrib.learn.python.learn.estimators", "contrib.learn.learn_runner", "feature_column",
    "contrib.layers.real_valued_column", "contrib.layers.embedding_column",
    "contrib.learn.infer_real_valued_columns_from_input",
    "contrib.learn.monitors", "contrib.learn.MetricSpec", "contrib.learn.io", "contrib.rnn.python.ops.lstm_ops",
)  # fmt: skip
refuse(
    "Forecast with `holdfast train`, from a CSV file to a measured forecast: docs/forecast.md.", "contrib.timeseries"
)
refuse(
    "Write encoder and decoder with tf.nn.dynamic_rnn, or train them, with attention, by `holdfast train`: "
    "docs/translate.md.",
    "contrib.legacy_seq2seq.embedding_attention_seq2seq", "contrib.legacy_seq2seq.embedding_attention_decoder",
    "contrib.legacy_seq2seq.attention_decoder", "contrib.legacy_seq2seq.model_with_buckets",
    "contrib.legacy_seq2seq.one2many_rnn_seq2seq", "contrib.seq2seq.AttentionWrapper",
    "contrib.seq2seq.AttentionWrapperState", "contrib.seq2seq.AttentionMechanism", "contrib.seq2seq.BahdanauAttention",
    "contrib.seq2seq.LuongAttention", "contrib.seq2seq.BahdanauMonotonicAttention",
    "contrib.seq2seq.LuongMonotonicAttention", "contrib.seq2seq.monotonic_attention", "contrib.seq2seq.hardmax",
    "contrib.seq2seq.tile_batch", "contrib.seq2seq.BeamSearchDecoder", "contrib.seq2seq.attention_decoder_fn_inference",
    "contrib.seq2seq.attention_decoder_fn_train", "contrib.seq2seq.dynamic_rnn_decoder",
    "contrib.seq2seq.prepare_attention", "contrib.seq2seq.simple_decoder_fn_inference",
    "contrib.seq2seq.simple_decoder_fn_train", "contrib.rnn.AttentionCellWrapper",
)  # fmt: skip
refuse(
    "Write the cell in the program, as a subclass of tf.nn.rnn_cell.RNNCell with state_size, output_size and call: "
    "docs/tf1.md.",
    "contrib.rnn.PhasedLSTMCell", "contrib.rnn.UGRNNCell", "contrib.rnn.IntersectionRNNCell",
    "contrib.rnn.GridLSTMCell", "contrib.rnn.BidirectionalGridLSTMCell", "contrib.rnn.TimeFreqLSTMCell",
    "contrib.rnn.CoupledInputForgetGateLSTMCell", "contrib.rnn.GLSTMCell", "contrib.rnn.ConvLSTMCell",
    "contrib.rnn.Conv1DLSTMCell", "contrib.rnn.Conv2DLSTMCell", "contrib.rnn.Conv3DLSTMCell",
    "contrib.rnn.WeightNormLSTMCell", "contrib.rnn.LayerNormLSTMCell", "contrib.rnn.NTMCell",
    "contrib.rnn.IndRNNCell", "contrib.rnn.IndyGRUCell", "contrib.rnn.IndyLSTMCell", "contrib.rnn.HighwayWrapper",
    "contrib.rnn.CompiledWrapper", "contrib.grid_rnn",
)  # fmt: skip
refuse(
    "Look the rows up with tf.nn.embedding_lookup, and take their mean with tf.reduce_mean.",
    "contrib.layers.safe_embedding_lookup_sparse", "nn.embedding_lookup_sparse", "nn.safe_embedding_lookup_sparse",
)  # fmt: skip
refuse(
    "Write the loop with tf.Session; for a time series, train a forecast with `holdfast train`: docs/forecast.md.",
    "contrib.learn.TensorFlowEstimator", "contrib.learn.TensorFlowRNNClassifier",
    "contrib.learn.TensorFlowRNNRegressor", "contrib.skflow",
)  # fmt: skip
refuse(
    "Use the whole softmax: tf.nn.sparse_softmax_cross_entropy_with_logits. It is exact, and fast enough for "
    "vocabularies of tutorials.",
    "nn.nce_loss", "nn.sampled_softmax_loss", "nn.learned_unigram_candidate_sampler",
    "nn.log_uniform_candidate_sampler",
    "nn.uniform_candidate_sampler", "nn.fixed_unigram_candidate_sampler",
)  # fmt: skip
refuse(
    "Save the variables with tf.train.Saver; `holdfast convert` moves models to other formats: docs/convert.md.",
    "graph_util", "python.framework.graph_util", "train.write_graph", "saved_model", "contrib.session_bundle",
    "contrib.lite", "lite", "import_graph_def", "GraphDef", "python.tools", "python.saved_model",
)  # fmt: skip
refuse(
    "Write the loop in Python: session.run(tensors, feed_dict) for each set of values.",
    "contrib.learn.run_n", "contrib.learn.run_feeds",
)  # fmt: skip
refuse(
    "Leave it out: it only shows the model in TensorBoard or measures TensorFlow itself.",
    "contrib.tensorboard", "contrib.slim.model_analyzer", "profiler", "contrib.tfprof", "python.client.timeline",
    "python.debug", "contrib.graph_editor", "contrib.memory_stats",
)  # fmt: skip
refuse(
    "Check the values with Python's assert, on what session.run returns.",
    "assert_equal", "assert_positive", "assert_less", "assert_less_equal", "assert_greater", "assert_greater_equal",
    "assert_non_negative", "assert_rank", "assert_type", "check_numerics", "add_check_numerics_ops",
)  # fmt: skip
refuse(
    "Call the function within `with tf.variable_scope('NAME', reuse=tf.AUTO_REUSE):`, which shares its variables.",
    "make_template",
)
refuse(
    "Use Keras 3 with `from holdfast.keras.layers import LSTM`: docs/keras.md.",
    "keras", "contrib.keras", "python.keras",
)  # fmt: skip
refuse(
    "Use `from holdfast import tf1`, whose functions run at once on torch's tensors: docs/tf1.md.",
    "enable_eager_execution", "enable_v2_behavior", "contrib.eager", "GradientTape", "function", "contrib.autograph",
    "compat.v1.enable_eager_execution", "contrib.cudnn_rnn.CudnnLSTM", "contrib.cudnn_rnn.CudnnGRU",
)  # fmt: skip
refuse(
    "Run the program in one process; the kernels use all its cores.",
    "train.Server", "train.ClusterSpec", "train.replica_device_setter", "train.SyncReplicasOptimizer", "distribute",
    "contrib.distribute", "contrib.tpu", "contrib.cluster_resolver",
)  # fmt: skip
refuse(
    "Read and change images with Pillow, and feed arrays.",
    "image", "contrib.image",
)  # fmt: skip
refuse("Save reader.py of that tutorial beside the program, and write `import reader`.", "models.rnn.ptb")
