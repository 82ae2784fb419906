"""pipefunc maps a pipeline over eight inputs on processes; one of them is bad."""

from pipefunc import Pipeline, pipefunc


def rate(clicks, views):
    return clicks / views


@pipefunc(output_name="score", mapspec="views[i] -> score[i]")
def score(views):
    return rate(3, views)


@pipefunc(output_name="total")
def total(score):
    return sum(score)


def main():
    return Pipeline([score, total]).map({"views": [5 - n for n in range(8)]}, parallel=True)["total"].output


if __name__ == "__main__":
    main()
