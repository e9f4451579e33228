"""The functions of the language, one file for each type of value; `catalog` lists them all."""
