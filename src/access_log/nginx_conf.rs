//! What a given nginx.conf says about its access logs: formats, paths, `buffer=` and `flush=`.
