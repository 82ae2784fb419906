"""A local Spark maps an RDD of eight items; one of them is bad."""

from pyspark.sql import SparkSession

ITEMS = [{"clicks": n % 7, "views": 5 - n} for n in range(8)]


def rate(clicks, views):
    return clicks / views


def score(item):
    return rate(item["clicks"], item["views"])


def main():
    spark = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false").getOrCreate()
    return spark.sparkContext.parallelize(ITEMS, 2).map(score).collect()


if __name__ == "__main__":
    main()
