#!/usr/bin/env python3
"""Answer questions from documents of one's own: the search is here, both models are on the fleet.

EDGE_SLM_API_KEY=... examples/rag.py notes.csv --chat http://192.168.1.20:8080/v1 \\
    --embeddings http://192.168.1.21:8081/v1 "How do I train a model from scratch?"

The CSV has a row for each document and a column `text`. Its vectors are made once, by a service with
`embeddings: true`, and kept with their FAISS index in a directory beside it (notes.index); rows that change are
embedded again. Without a question it asks for them one after another, and the conversation counts; what no longer fits
into the model's context is left out, oldest first, by the server's own count of tokens.

Needs examples/requirements.lock. The key is one of edge_slm_api_keys, and never on a command line.
"""

import argparse
import csv
import hashlib
import json
import os
import sys
from pathlib import Path

import faiss
import httpx
import numpy as np
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder
from langchain_openai import ChatOpenAI, OpenAIEmbeddings

#: Tokens that the answer may take.
ANSWER = 300
#: Texts that one request for vectors has.
BATCH = 32
PROMPT = ChatPromptTemplate.from_messages(
    [
        ("system", "Answer from the notes alone. If they do not have the answer, say so.\n\nNotes:\n{notes}"),
        MessagesPlaceholder("history"),
        ("human", "{question}"),
    ]
)


class Documents:
    """Texts and their index; vectors that are known are not made again."""

    def __init__(self, file: Path, embeddings: OpenAIEmbeddings) -> None:
        with file.open(encoding="utf-8-sig", newline="") as rows:
            self.texts = [row["text"] for row in csv.DictReader(rows) if row["text"].strip()]
        self.embeddings = embeddings
        kept = file.with_suffix(".index")
        kept.mkdir(exist_ok=True)
        names = [hashlib.sha256(text.encode()).hexdigest() for text in self.texts]
        index, listed = kept / "vectors.faiss", kept / "texts.json"
        before = json.loads(listed.read_text()) if listed.exists() else []
        if names != before:
            known = dict(zip(before, faiss.read_index(str(index)).reconstruct_n(), strict=True)) if before else {}
            self.index = self._build(names, known)
            # The list is what counts: it is written when the index is whole.
            listed.unlink(missing_ok=True)
            faiss.write_index(self.index, str(index))
            listed.write_text(json.dumps(names))
        else:
            self.index = faiss.read_index(str(index))

    def _build(self, names: list[str], known: dict[str, np.ndarray]) -> faiss.Index:
        """Return the index of all texts."""
        new = [(name, text) for name, text in zip(names, self.texts, strict=True) if name not in known]
        for start in range(0, len(new), BATCH):
            batch = new[start : start + BATCH]
            vectors = self.embeddings.embed_documents([text for _name, text in batch])
            known.update(
                {name: np.array(vector, "float32") for (name, _text), vector in zip(batch, vectors, strict=True)}
            )
            print(f"{min(start + BATCH, len(new))} of {len(new)} texts embedded", file=sys.stderr)
        matrix = np.stack([known[name] for name in names])
        faiss.normalize_L2(matrix)
        index = faiss.IndexFlatIP(matrix.shape[1])
        index.add(matrix)
        return index

    def nearest(self, question: str, count: int) -> list[str]:
        """Return the texts that mean most nearly the same as a question."""
        vector = np.array([self.embeddings.embed_query(question)], "float32")
        faiss.normalize_L2(vector)
        _scores, rows = self.index.search(vector, min(count, len(self.texts)))
        return [self.texts[row] for row in rows[0]]


class Server:
    """What llama-server knows beside OpenAI's interface: how long its context is, and how many tokens a text has."""

    def __init__(self, url: str, key: str) -> None:
        self.client = httpx.Client(
            base_url=url.rstrip("/").removesuffix("/v1"), headers={"Authorization": f"Bearer {key}"}, timeout=60
        )
        self.context = int(self._json(self.client.get("/props"))["default_generation_settings"]["n_ctx"])

    def tokens(self, messages: list[BaseMessage]) -> int:
        """Return how many tokens messages have, with some for what the chat template puts around each."""
        text = "\n".join(str(message.content) for message in messages)
        return len(self._json(self.client.post("/tokenize", json={"content": text}))["tokens"]) + 8 * len(messages)

    @staticmethod
    def _json(answer: httpx.Response) -> dict:
        return answer.raise_for_status().json()


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Answer questions from documents of one's own.")
    parser.add_argument("documents", type=Path, help="a CSV with a column `text`")
    parser.add_argument("question", nargs="?", help="without it, questions are read from the terminal")
    parser.add_argument("--chat", required=True, help="endpoint of a llama-server that answers, with /v1")
    parser.add_argument("--embeddings", required=True, help="endpoint that makes vectors, with /v1")
    parser.add_argument("--texts", type=int, default=2, help="how many documents the model gets to read")
    given = parser.parse_intermixed_args()

    key = os.environ["EDGE_SLM_API_KEY"]
    # The text itself is sent: by default the client counts tokens as OpenAI's models do, and sends those.
    embeddings = OpenAIEmbeddings(
        model="embeddings", base_url=given.embeddings, api_key=key, check_embedding_ctx_length=False
    )
    chat = ChatOpenAI(model="gpt-3.5-turbo", base_url=given.chat, api_key=key, temperature=0.25, max_tokens=ANSWER)
    server = Server(given.chat, key)
    documents = Documents(given.documents, embeddings)

    history: list[BaseMessage] = []
    while question := given.question or input("? "):
        notes = "\n\n".join(documents.nearest(question, given.texts))
        messages = PROMPT.format_messages(notes=notes, history=history, question=question)
        while history and server.tokens(messages) > server.context - ANSWER:
            del history[:2]
            messages = PROMPT.format_messages(notes=notes, history=history, question=question)
        answer = str(chat.invoke(messages).content).strip()
        print(answer)
        if given.question:
            return
        history += [HumanMessage(question), AIMessage(answer)]


if __name__ == "__main__":
    try:
        main()
    except EOFError:
        print()
