"""OpenAI's requests and responses, as files of a batch hold them; no network."""
