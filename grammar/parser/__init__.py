"""Text in, syntax trees out: the only room that imports Lark."""
