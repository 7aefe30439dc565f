#!/usr/bin/env python3
"""Ask a model of the fleet in this process, without a server: llama.cpp's bindings for Python.

examples/bindings.py /var/lib/edge-slm/models/smollm2-135m-instruct/5d80fe90b6cf.gguf "Why is the sky blue?"

The file is one that the fleet serves, copied from a device or from the builder's artifact store. Needs
`pip install llama-cpp-python`, which compiles llama.cpp; examples/bindings.lock has it pinned. For an NVIDIA GPU set
CMAKE_ARGS="-DGGML_CUDA=ON" when it is installed, and give --gpu-layers -1.
"""

import argparse

from llama_cpp import Llama

parser = argparse.ArgumentParser(description="Ask a model in this process.")
parser.add_argument("file", help="a GGUF")
parser.add_argument("question", nargs="?", default="Which city is the capital of France?")
parser.add_argument("--context", type=int, default=2048, help="tokens of the conversation; 2048 by default")
parser.add_argument("--gpu-layers", type=int, default=0, help="layers on the GPU: -1 for all; none by default")
given = parser.parse_args()

model = Llama(given.file, n_ctx=given.context, n_gpu_layers=given.gpu_layers, verbose=False)
completion = model.create_chat_completion(
    messages=[
        {"role": "system", "content": "Answer in one short sentence."},
        {"role": "user", "content": given.question},
    ],
    max_tokens=50,
    temperature=0,
)
print(completion["choices"][0]["message"]["content"].strip())
