// A cuBLAS in host memory: float32 products in column-major storage.
#include <stdlib.h>
#include <string.h>

static void product(int ta, int tb, int m, int n, int k, float alpha, const float *a, int lda, const float *b, int ldb, float beta, float *c, int ldc)
{
    for (int i = 0; i < m; i++)
        for (int j = 0; j < n; j++)
        {
            float sum = 0;
            for (int x = 0; x < k; x++) sum += (ta ? a[x + (long)i * lda] : a[i + (long)x * lda]) * (tb ? b[j + (long)x * ldb] : b[x + (long)j * ldb]);
            c[i + (long)j * ldc] = alpha * sum + (beta == 0 ? 0 : beta * c[i + (long)j * ldc]);
        }
}
static int units(int type) { return type == 68 || type == 75 || type == 77; }

int cublasCreate_v2(void **h) { *h = malloc(1); return 0; }
int cublasDestroy_v2(void *h) { free(h); return 0; }
int cublasGetVersion_v2(void *h, int *v) { *v = 120804; return h ? 0 : 1; }
int cublasSetStream_v2(void *h, void *s) { return h && s ? 0 : 1; }
int cublasSetWorkspace_v2(void *h, void *p, size_t n) { memset(p, 1, n); return h ? 0 : 1; }
int cublasGemmEx(void *h, int ta, int tb, int m, int n, int k, const float *alpha, const void *a, int atype, int lda, const void *b, int btype, int ldb,
    const float *beta, void *c, int ctype, int ldc, int type, int algo)
{
    if (!h || atype || btype || ctype || algo != -1) return 7;
    if (!units(type)) return 15;
    product(ta, tb, m, n, k, *alpha, a, lda, b, ldb, *beta, c, ldc);
    return 0;
}
int cublasGemmBatchedEx(void *h, int ta, int tb, int m, int n, int k, const float *alpha, void *const *a, int atype, int lda, void *const *b, int btype,
    int ldb, const float *beta, void *const *c, int ctype, int ldc, int count, int type, int algo)
{
    for (int i = 0; i < count; i++)
    {
        int status = cublasGemmEx(h, ta, tb, m, n, k, alpha, a[i], atype, lda, b[i], btype, ldb, beta, c[i], ctype, ldc, type, algo);
        if (status) return status;
    }
    return 0;
}
int cublasGemmGroupedBatchedEx(void *h, const int *ta, const int *tb, const int *m, const int *n, const int *k, const float *alpha, void *const *a, int atype, const int *lda,
    void *const *b, int btype, const int *ldb, const float *beta, void *const *c, int ctype, const int *ldc, int groups, const int *sizes, int type)
{
    for (int g = 0, i = 0; g < groups; g++)
        for (int x = 0; x < sizes[g]; x++, i++)
        {
            int status = type == 75 ? 15 : cublasGemmEx(h, ta[g], tb[g], m[g], n[g], k[g], alpha + g, a[i], atype, lda[g], b[i], btype, ldb[g], beta + g, c[i], ctype, ldc[g], type, -1);
            if (status) return status;
        }
    return 0;
}
