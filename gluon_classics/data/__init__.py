"""Data sets, and batches of them.

`catalog` lists the data sets, `formats` has one file for each source of pictures, `files` what is on disk.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "augmentation": ["AugmentedTransform"],
        "catalog": ["list_datasets", "load_dataset"],
        "dataset": ["ImageDataset"],
        "duplicates": ["duplicate_lines", "find_duplicates"],
        "files.archives": ["BadArchive", "extract"],
        "files.image_files": ["BadImage", "read_image"],
        "files.sources": ["DatasetUnavailable"],
        "files.verified": ["DamagedFile"],
        "formats.cifar": ["CIFAR10_CLASSES", "CIFAR100_CLASSES"],
        "formats.class_folders": ["BadImages", "load_image_folder"],
        "formats.coil20": ["COIL20_CLASSES", "load_coil20"],
        "formats.fashion_mnist": ["FASHION_MNIST_CLASSES", "find_fashion_mnist"],
        "formats.mnist": ["MNIST_CLASSES"],
        "image_options": ["ImageOptions"],
        "loader": ["DataLoader"],
        "splits": ["split_from_json", "split_leave_poses", "split_pose_blocks", "split_random", "split_to_json"],
        "statistics": ["pixel_statistics"],
        "transforms": ["ImageTransform"],
        "tutorial": ["load_data_fashion_mnist"],
    },
)
