"""A DataLoader's workers read a data set; one item cannot be read."""

from torch.utils.data import DataLoader, Dataset

ITEMS = [{"clicks": n % 7, "views": 5 - n} for n in range(8)]


def rate(clicks, views):
    return clicks / views


def score(item):
    return rate(item["clicks"], item["views"])


class Clicks(Dataset):
    def __len__(self):
        return len(ITEMS)

    def __getitem__(self, index):
        return score(ITEMS[index])


def main():
    for batch in DataLoader(Clicks(), num_workers=2, batch_size=2):
        print(batch)


if __name__ == "__main__":
    main()
