"""The zoo: M, N, K and MACs that the ONNX reader gives, against those of executing the same model in PyTorch."""
