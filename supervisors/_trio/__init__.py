"""The trio shell: carries out what the decision core decides. It decides nothing itself."""
