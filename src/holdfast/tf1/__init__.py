"""The vocabulary of TensorFlow 1's recurrent networks, run at once on torch tensors.

The names, arguments, equations, layouts of weights and names of variables are those of ``tf.nn.rnn_cell``,
``tf.contrib.rnn`` and ``tf.nn``; TensorFlow is not needed. See docs/tf1.md.
"""

from holdfast.tf1.bidirectional import (
    bidirectional_dynamic_rnn,
    stack_bidirectional_dynamic_rnn,
    stack_bidirectional_rnn,
    static_bidirectional_rnn,
)
from holdfast.tf1.contrib_cells import LayerNormBasicLSTMCell, SRUCell
from holdfast.tf1.fused import FusedRNNCell, FusedRNNCellAdaptor, LSTMBlockFusedCell, TimeReversedFusedRNN
from holdfast.tf1.gru_cells import BasicRNNCell, CudnnCompatibleGRUCell, GRUBlockCellV2, GRUCell
from holdfast.tf1.lstm_cells import BasicLSTMCell, CudnnCompatibleLSTMCell, LSTMBlockCell, LSTMCell
from holdfast.tf1.rnn import build, dynamic_rnn, explain, static_rnn
from holdfast.tf1.rnn_cell import LSTMStateTuple, RNNCell
from holdfast.tf1.stacking import MultiRNNCell
from holdfast.tf1.variables import (
    AUTO_REUSE,
    VariableScope,
    VariableStore,
    default_store,
    get_variable,
    get_variable_scope,
    reset_default_graph,
    trainable_variables,
    variable_scope,
)
from holdfast.tf1.wrappers import DropoutWrapper, ResidualWrapper

__all__ = [
    "AUTO_REUSE",
    "BasicLSTMCell",
    "BasicRNNCell",
    "CudnnCompatibleGRUCell",
    "CudnnCompatibleLSTMCell",
    "DropoutWrapper",
    "FusedRNNCell",
    "FusedRNNCellAdaptor",
    "GRUBlockCellV2",
    "GRUCell",
    "LSTMBlockCell",
    "LSTMBlockFusedCell",
    "LSTMCell",
    "LSTMStateTuple",
    "LayerNormBasicLSTMCell",
    "MultiRNNCell",
    "RNNCell",
    "ResidualWrapper",
    "SRUCell",
    "TimeReversedFusedRNN",
    "VariableScope",
    "VariableStore",
    "bidirectional_dynamic_rnn",
    "build",
    "default_store",
    "dynamic_rnn",
    "explain",
    "get_variable",
    "get_variable_scope",
    "reset_default_graph",
    "stack_bidirectional_dynamic_rnn",
    "stack_bidirectional_rnn",
    "static_bidirectional_rnn",
    "static_rnn",
    "trainable_variables",
    "variable_scope",
]
