// A CUDA driver and a cuBLAS that live in host memory: enough to see that the adapter calls the C functions with the right arguments. Streams are in
// order because every call works at once; kernels do nothing but note their arguments, except "double_words". While a stream records, uploads and
// kernels are noted and run at each launch of the graph.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef int Result;
typedef struct { int kind; void *to; const void *from; size_t bytes; } Step; // 0: copy, 1: double `bytes` words at `to`
typedef struct { int count; Step steps[256]; } Graph;
static Graph *graph;                                                            // being recorded
static int recording, current, events;

static void run(Step s)
{
    if (s.kind == 0) memcpy(s.to, s.from, s.bytes);
    else for (size_t i = 0; i < s.bytes; i++) ((uint32_t *)s.to)[i] *= 2;
}
static Result give(Step s)
{
    if (!current) return 201;
    if (recording) graph->steps[graph->count++] = s; else run(s);
    return 0;
}

Result cuInit(unsigned flags) { return flags; }
Result cuDriverGetVersion(int *v) { const char *s = getenv("STUB_DRIVER_VERSION"); *v = s ? atoi(s) : 12080; return 0; }
Result cuDeviceGetCount(int *n) { *n = getenv("STUB_NO_DEVICE") ? 0 : 1; return 0; }
Result cuDeviceGet(int *d, int i) { *d = 40 + i; return i ? 101 : 0; }
Result cuDeviceGetName(char *s, int n, int d) { if (d != 40) return 101; strncpy(s, "Stub", n); return 0; }
Result cuDeviceTotalMem_v2(size_t *n, int d) { *n = (size_t)80 << 30; return d == 40 ? 0 : 101; }
Result cuDeviceGetAttribute(int *v, int a, int d)
{
    const char *major = getenv("STUB_MAJOR");
    *v = a == 75 ? (major ? atoi(major) : 9) : a == 76 ? 0 : a == 16 ? 132 : a == 1 ? 1024 : a == 97 ? 232448 : -1;
    return *v < 0 ? 1 : d == 40 ? 0 : 101;
}
Result cuDevicePrimaryCtxRetain(void **c, int d) { *c = &current; return d == 40 ? 0 : 101; }
Result cuDevicePrimaryCtxRelease_v2(int d) { return d == 40 ? 0 : 101; }
Result cuCtxSetCurrent(void *c) { current = c == &current; return current ? 0 : 201; }
Result cuGetErrorName(Result r, const char **s)
{
    *s = r == 2 ? "CUDA_ERROR_OUT_OF_MEMORY" : r == 218 ? "CUDA_ERROR_INVALID_PTX" : "CUDA_ERROR_OTHER";
    return 0;
}
Result cuGetErrorString(Result r, const char **s) { *s = r == 2 ? "out of memory" : "some words"; return 0; }
Result cuMemGetInfo_v2(size_t *f, size_t *t) { *f = (size_t)70 << 30; *t = (size_t)80 << 30; return 0; }
Result cuMemAlloc_v2(void **p, size_t n) 
{
    if (!current) return 201;
    if (n > (size_t)80 << 30) return 2;
    *p = aligned_alloc(256, (n + 255) / 256 * 256);
    return 0;
}
Result cuMemFree_v2(void *p) { free(p); return 0; }
Result cuMemHostAlloc(void **p, size_t n, unsigned f) { *p = malloc(n); return f; }
Result cuMemFreeHost(void *p) { free(p); return 0; }
Result cuMemcpyHtoDAsync_v2(void *to, const void *from, size_t n, void *s) { return s ? give((Step){0, to, from, n}) : 1; }
Result cuMemcpyDtoDAsync_v2(void *to, const void *from, size_t n, void *s) { return s ? give((Step){0, to, from, n}) : 1; }
Result cuMemcpyDtoHAsync_v2(void *to, const void *from, size_t n, void *s) { if (recording) return 900; memcpy(to, from, n); return s ? 0 : 1; }
Result cuMemsetD32Async(uint32_t *to, unsigned v, size_t n, void *s) { for (size_t i = 0; i < n; i++) to[i] = v; return s ? 0 : 1; }
Result cuModuleLoadDataEx(void **m, const char *text, unsigned n, const int *options, void **values)
{
    *m = strdup(text);
    if (!strstr(text, "broken")) return n == 2 && options[0] == 5 && options[1] == 6 ? 0 : 1;
    strncpy(values[0], "ptxas application.ptx, line 3; fatal\nno such thing", (size_t)values[1]);
    return 218;
}
Result cuModuleGetFunction(void **f, void *m, const char *name) { *f = strstr(m, name); return *f ? 0 : 500; }
Result cuModuleUnload(void *m) { free(m); return 0; }
Result cuFuncSetAttribute(void *f, int a, int v) { return f && a == 8 && v <= 232448 ? 0 : 1; }
typedef struct { const char *f; unsigned gx, gy, gz, bx, by, bz, shared; void **p, **extra, *kernel, *context; } Node;
static Result step_of(const Node *n, Step *s)
{
    *s = (Step){1, 0, 0, 0};
    if (n->extra || n->kernel || n->context || n->gx * n->gy * n->gz == 0 || n->bx * n->by * n->bz > 1024) return 1;
    if (n->shared > 232448) return 701;
    if (strncmp(n->f, "double_words", 12)) return 0;
    // (address, count: 32 bits, factor: must be 1.5, count: 64 bits)
    if (*(float *)n->p[2] != 1.5f || *(int64_t *)n->p[3] != *(int32_t *)n->p[1]) return 700;
    *s = (Step){1, *(void **)n->p[0], 0, *(uint32_t *)n->p[1]};
    return 0;
}
Result cuLaunchKernel(const char *f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
    unsigned shared, void *s, void **p, void **extra)
{
    Step step;
    Result r = step_of(&(Node){f, gx, gy, gz, bx, by, bz, shared, p, extra, 0, 0}, &step);
    return !s ? 1 : r ? r : give(step);
}
Result cuStreamCreate(void **s, unsigned f) { *s = malloc(1); return f == 1 ? 0 : 1; }
Result cuStreamDestroy_v2(void *s) { free(s); return 0; }
Result cuStreamSynchronize(void *s) { return recording ? 900 : s ? 0 : 1; }
Result cuStreamWaitEvent(void *s, void *e, unsigned f) { return s && e ? f : 1; }
Result cuStreamBeginCapture_v2(void *s, int mode) { recording = 1; graph = calloc(1, sizeof(Graph)); return s && mode == 2 ? 0 : 1; }
Result cuStreamEndCapture(void *s, void **g) { *g = recording ? graph : 0; if (!recording) return 901; recording = 0; return s ? 0 : 1; }
Result cuEventCreate(void **e, unsigned f) { *e = malloc(1); events++; return f & ~2u; }
Result cuEventDestroy_v2(void *e) { free(e); events--; return 0; }
Result cuEventRecord(void *e, void *s) { return recording ? 900 : e && s ? 0 : 1; }
Result cuEventSynchronize(void *e) { return e ? 0 : 1; }
Result cuEventElapsedTime(float *ms, void *a, void *b) { *ms = 2.5f; return a && b ? 0 : 1; }
Result cuGraphCreate(Graph **g, unsigned f) { *g = calloc(1, sizeof(Graph)); return f; }
// A node is the place of its step, counted from 1, and depends on the one before.
Result cuGraphAddKernelNode_v2(void **n, Graph *g, void **before, size_t count, const Node *p)
{
    if (count != (g->count > 0) || (count && before[0] != (void *)(size_t)g->count)) return 1;
    Result r = step_of(p, &g->steps[g->count++]);
    *n = (void *)(size_t)g->count;
    return r;
}
Result cuGraphExecKernelNodeSetParams_v2(Graph *x, void *n, const Node *p)
{
    return (size_t)n > 0 && (size_t)n <= (size_t)x->count ? step_of(p, &x->steps[(size_t)n - 1]) : 1;
}
Result cuGraphInstantiateWithFlags(Graph **x, const Graph *g, unsigned long long f) { *x = malloc(sizeof(Graph)); **x = *g; return (Result)f; }
Result cuGraphLaunch(Graph *x, void *s) { for (int i = 0; i < x->count; i++) run(x->steps[i]); return s ? 0 : 1; }
Result cuGraphDestroy(void *g) { free(g); return 0; }
Result cuGraphExecDestroy(void *x) { free(x); return 0; }
