"""Files of Keras, without Keras: :mod:`~holdfast.interop.keras.files` reads and writes them."""
