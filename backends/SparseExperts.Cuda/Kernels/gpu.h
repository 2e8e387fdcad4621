// What the kernels need of CUDA, declared here so that clang alone compiles them. Every float operation is rounded by itself
// (-ffp-contract=off gives .rn); a fused multiply-add stands where one is written.
#pragma once

#define DEVICE static inline __attribute__((device, always_inline))
#define KERNEL extern "C" __attribute__((global)) void
#define SHARED __attribute__((shared))
#define THREADS(n) __attribute__((launch_bounds(n)))

/// Threads of a block, and blocks of which a multiprocessor shall have room: the driver gives each thread no more registers than that allows.
#define THREADS_OF_BLOCKS(n, blocks) __attribute__((launch_bounds(n, blocks)))

/// A view as kernels get it: where element (0, 0) lies, and how far rows lie apart.
#define VIEW(view) float *view, int view##_stride
#define SOURCE(view) const float *view, int view##_stride

typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef long long i64;

DEVICE int thread_x() { return (int)__nvvm_read_ptx_sreg_tid_x(); }
DEVICE int thread_y() { return (int)__nvvm_read_ptx_sreg_tid_y(); }
DEVICE int threads_x() { return (int)__nvvm_read_ptx_sreg_ntid_x(); }
DEVICE int threads_y() { return (int)__nvvm_read_ptx_sreg_ntid_y(); }
DEVICE int block_x() { return (int)__nvvm_read_ptx_sreg_ctaid_x(); }
DEVICE int block_y() { return (int)__nvvm_read_ptx_sreg_ctaid_y(); }
DEVICE int block_z() { return (int)__nvvm_read_ptx_sreg_ctaid_z(); }
DEVICE int blocks_x() { return (int)__nvvm_read_ptx_sreg_nctaid_x(); }
DEVICE int blocks_y() { return (int)__nvvm_read_ptx_sreg_nctaid_y(); }

/// All threads of the block wait for each other.
DEVICE void meet() { __syncthreads(); }

DEVICE float fma(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
DEVICE float root(float x) { return __nvvm_sqrt_rn_f(x); }
DEVICE float magnitude(float x) { return __builtin_fabsf(x); }
DEVICE u32 bits_of(float x) { return __builtin_bit_cast(u32, x); }
DEVICE float float_of(u32 bits) { return __builtin_bit_cast(float, bits); }
DEVICE bool is_nan(float x) { return x != x; }
DEVICE bool is_finite(float x) { return (bits_of(x) & 0x7f800000) != 0x7f800000; }

/// Whether the step that has this factor changes nothing.
DEVICE bool is_left_out(const float *factor) { return !is_finite(*factor); }

/// The value of the lane `distance` below in the half-warp or warp, by exclusive or of the lane's number.
DEVICE float from_lane_xor(float value, int distance) { return __nvvm_shfl_sync_bfly_f32(0xffffffffu, value, distance, 31); }

/// What "accumulate" means wherever the op is not itself a fused multiply-add.
DEVICE void put(float *destination, float value, int accumulate) { *destination = accumulate ? *destination + value : value; }

/// The same number, of which the compiler forgets what it computed from it: what is rarely needed, or soon had again, occupies no registers meanwhile.
DEVICE int afresh(int value)
{
    asm volatile("" : "+r"(value));
    return value;
}
