#include "product.h"

#define PRODUCT(name, side, each, deep, bounds) \
    KERNEL __attribute__((bounds)) name(const float *a, i64 lineA, i64 depthA, const float *b, i64 lineB, i64 depthB, const float *first, float *c, \
        i64 strideC, const Slice *slices, int columnTiles, const int *counts, const int *joins, int leaves, float *stack) \
    { \
        product<side, each, deep>(a, lineA, depthA, b, lineB, depthB, first, c, strideC, \
            slices[block_x() / columnTiles], block_x() % columnTiles, counts, joins, leaves, stack); \
    }

PRODUCT(product_128, 128, 8, 8, launch_bounds(256, 2))
PRODUCT(product_64, 64, 8, 8, launch_bounds(64))
PRODUCT(product_32, 32, 4, 8, launch_bounds(64))
