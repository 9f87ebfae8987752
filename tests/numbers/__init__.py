"""Is a number right?"""
