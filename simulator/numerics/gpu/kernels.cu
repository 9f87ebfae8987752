// Exact products, conversions and figures on the device.
//
// The same text is compiled for a GPU (NVRTC, contraction into fused multiply-adds off) and, with a shim that
// plays blocks and threads, for a CPU by the tests. Matrices are row-major. Every sum adds in the order of k.

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef long long i64;
typedef unsigned long long u64;

// ------------------------------------------------------------------------------------------- half precision

#if defined(__CUDACC__)
__device__ inline u32 fma_half2(u32 a, u32 b, u32 c) {
    u32 d;
    asm("fma.rn.f16x2 %0, %1, %2, %3;" : "=r"(d) : "r"(a), "r"(b), "r"(c));
    return d;
}

__device__ inline u16 half_of_double(double x) {
    u16 h;
    asm("cvt.rn.f16.f64 %0, %1;" : "=h"(h) : "d"(x));
    return h;
}

__device__ inline double double_of_half(u16 h) {
    float f;
    asm("cvt.f32.f16 %0, %1;" : "=f"(f) : "h"(h));
    return (double)f;
}
#endif

__device__ inline u32 least_of_pairs(u32 a, u32 b) {
#if defined(__CUDACC__) && __CUDA_ARCH__ >= 900
    u32 d;
    asm("min.s16x2 %0, %1, %2;" : "=r"(d) : "r"(a), "r"(b));
    return d;
#else
    short al = (short)a, ah = (short)(a >> 16), bl = (short)b, bh = (short)(b >> 16);
    return (u32)(u16)(al < bl ? al : bl) | (u32)(u16)(ah < bh ? ah : bh) << 16;
#endif
}

// -------------------------------------------------------------------------------------- steps of one product

// float64 rounded to `precision` bits: see `round_to_format` of the compiled engines on a CPU.
__device__ inline double rounded_to_format(double x, i64 anchor, i64 least, double smallest, double largest,
                                           double end) {
    i64 bits = __double_as_longlong(x);
    i64 exponent = bits & 0x7FF0000000000000LL;
    double shifter = __longlong_as_double((exponent > least ? exponent : least) + anchor);
    double rounded = __dadd_rn(__dadd_rn(x, shifter), -shifter);
    double magnitude = __longlong_as_double(__double_as_longlong(rounded) & 0x7FFFFFFFFFFFFFFFLL);
    magnitude = magnitude > largest ? end : magnitude;
    magnitude = magnitude < smallest ? 0.0 : magnitude;
    i64 sign = (i64)((u64)bits & 0x8000000000000000ULL);
    return __longlong_as_double(__double_as_longlong(magnitude) | sign);
}

// float32 fused multiply-adds.
struct SingleStep {
    typedef float Operand;
    typedef float Sum;
    float sum;
    static __device__ float none() { return 0.0f; }
    __device__ void load(const Sum *sums, i64 at, const double *, const i64 *) { sum = sums[at]; }
    __device__ void add(float a, float w, const double *, const i64 *, const i64 *) {
        sum = __fmaf_rn(a, w, sum);
    }
    __device__ void store(Sum *sums, signed char *, i64 at) const { sums[at] = sum; }
};

// Exact integers in float64.
struct ExactStep {
    typedef double Operand;
    typedef double Sum;
    double sum;
    static __device__ double none() { return 0.0; }
    __device__ void load(const Sum *sums, i64 at, const double *, const i64 *) { sum = sums[at]; }
    __device__ void add(double a, double w, const double *, const i64 *, const i64 *) {
        sum = __fma_rn(a, w, sum);
    }
    __device__ void store(Sum *sums, signed char *, i64 at) const { sums[at] = sum; }
};

// float64 steps rounded to a format. reals: smallest, largest, end. integers: anchor, least, to odd first.
struct RoundedStep {
    typedef double Operand;
    typedef double Sum;
    double sum;
    static __device__ double none() { return 0.0; }
    __device__ void load(const Sum *sums, i64 at, const double *, const i64 *) { sum = sums[at]; }
    __device__ void add(double a, double w, const double *reals, const i64 *integers, const i64 *) {
        double product = __dmul_rn(a, w);
        double total = __dadd_rn(sum, product);
        if (integers[2]) {
            double back = __dadd_rn(total, -sum);
            double error = __dadd_rn(__dadd_rn(sum, -__dadd_rn(total, -back)), __dadd_rn(product, -back));
            i64 bits = __double_as_longlong(total);
            bool inward = (error > 0.0) != (total > 0.0);
            bool inexact = error > 0.0 || error < 0.0;
            if (inexact && (bits & 1) == 0) bits += inward ? -1 : 1;
            total = __longlong_as_double(bits);
        }
        sum = rounded_to_format(total, integers[0], integers[1], reals[0], reals[1], reals[2]);
    }
    __device__ void store(Sum *sums, signed char *, i64 at) const { sums[at] = sum; }
};

// Table entries by sums of logarithms, modulo 2^64. An operand is the logarithm's index, its sign in bit 31.
// integers: the number of entries for a sign; the last is 0, and all indices past it mean it.
struct LogStep {
    typedef u32 Operand;
    typedef i64 Sum;
    i64 sum;
    static __device__ u32 none() { return 1u << 20; }
    __device__ void load(const Sum *sums, i64 at, const double *, const i64 *) { sum = sums[at]; }
    __device__ void add(u32 a, u32 w, const double *, const i64 *integers, const i64 *table) {
        u32 length = (u32)integers[0];
        u32 place = (a & 0x7FFFFFFFu) + (w & 0x7FFFFFFFu);
        place = place < length ? place : length - 1;
        sum = (i64)((u64)sum + (u64)table[place + ((a ^ w) >> 31) * length]);
    }
    __device__ void store(Sum *sums, signed char *, i64 at) const { sums[at] = sum; }
};

// Integers in a register of so many bits. integers: left shift of a product (negative: bits are cut off),
// 64 - bits, the rule at the ends (0 wraps, 1 saturates, 2 remembers), lowest, highest.
struct WatchedStep {
    typedef i64 Operand;
    typedef i64 Sum;
    i64 sum;
    signed char sign;
    static __device__ i64 none() { return 0; }
    __device__ void load(const Sum *sums, i64 at, const double *, const i64 *) { sum = sums[at], sign = 0; }
    __device__ void add(i64 a, i64 w, const double *, const i64 *integers, const i64 *) {
        i64 product = (i64)((u64)a * (u64)w), shift = integers[0], spare = integers[1];
        product = shift >= 0 ? (i64)((u64)product << shift) : product >> -shift;
        if (integers[2] == 0) {
            sum = (i64)((u64)sum + (u64)product);
        } else if (integers[2] == 1) {
            i64 total = sum + product;
            total = total < integers[3] ? integers[3] : total;
            sum = total > integers[4] ? integers[4] : total;
        } else {
            i64 kept = (i64)((u64)product << spare) >> spare;
            i64 exact = sum + kept;
            i64 wrapped = (i64)((u64)exact << spare) >> spare;
            if (sign == 0) {
                if (kept != product) sign = product > 0 ? 1 : -1;
                else if (wrapped != exact) sign = exact > 0 ? 1 : -1;
            }
            sum = wrapped;
        }
    }
    __device__ void store(Sum *sums, signed char *signs, i64 at) const {
        sums[at] = sum;
        signs[at] = sign;
    }
};

// ------------------------------------------------------------------------------------------ matrix products

#define STEPS 16  // of k in a tile

// sums [z][M][N] += a [z][M][K] x w [z][K][N]; 256 threads, each TM x TN sums, strided by 16.
template <class Step, int TM, int TN>
__device__ void tiled(const typename Step::Operand *a, const typename Step::Operand *w,
                      typename Step::Sum *sums, signed char *signs, int M, int K, int N, i64 stride_a,
                      i64 stride_w, const double *reals, const i64 *integers, const i64 *table) {
    __shared__ typename Step::Operand a_tile[STEPS][16 * TM + 1];
    __shared__ typename Step::Operand w_tile[STEPS][16 * TN];
    const int thread = threadIdx.x, row = thread / 16, column = thread % 16;
    const int top = blockIdx.y * 16 * TM, left = blockIdx.x * 16 * TN;
    a += blockIdx.z * stride_a;
    w += blockIdx.z * stride_w;
    const i64 base = (i64)blockIdx.z * M * N;
    Step steps[TM][TN];
#pragma unroll
    for (int i = 0; i < TM; i++)
#pragma unroll
        for (int j = 0; j < TN; j++) {
            int m = top + row + 16 * i, n = left + column + 16 * j;
            if (m < M && n < N) steps[i][j].load(sums, base + (i64)m * N + n, reals, integers);
        }
    for (int start = 0; start < K; start += STEPS) {
        for (int at = thread; at < 16 * TM * STEPS; at += 256) {
            int k = start + at % STEPS, m = top + at / STEPS;
            a_tile[at % STEPS][at / STEPS] = k < K && m < M ? a[(i64)m * K + k] : Step::none();
        }
        for (int at = thread; at < 16 * TN * STEPS; at += 256) {
            int k = start + at / (16 * TN), n = left + at % (16 * TN);
            w_tile[at / (16 * TN)][at % (16 * TN)] = k < K && n < N ? w[(i64)k * N + n] : Step::none();
        }
        __syncthreads();
        const int count = K - start < STEPS ? K - start : STEPS;
        for (int k = 0; k < count; k++) {
            typename Step::Operand left_operands[TM], right_operands[TN];
#pragma unroll
            for (int i = 0; i < TM; i++) left_operands[i] = a_tile[k][row + 16 * i];
#pragma unroll
            for (int j = 0; j < TN; j++) right_operands[j] = w_tile[k][column + 16 * j];
#pragma unroll
            for (int i = 0; i < TM; i++)
#pragma unroll
                for (int j = 0; j < TN; j++)
                    steps[i][j].add(left_operands[i], right_operands[j], reals, integers, table);
        }
        __syncthreads();
    }
#pragma unroll
    for (int i = 0; i < TM; i++)
#pragma unroll
        for (int j = 0; j < TN; j++) {
            int m = top + row + 16 * i, n = left + column + 16 * j;
            if (m < M && n < N) steps[i][j].store(sums, signs, base + (i64)m * N + n);
        }
}

// Convolutions with few filters a group, without lowering: sums [batch][groups][filters][pixels].
// x [batch][groups][plane]; w [groups][filters][K]; places [K][pixels] in a plane. One thread a sum.
template <class Step>
__device__ void direct(const typename Step::Operand *x, const typename Step::Operand *w,
                       typename Step::Sum *sums, signed char *signs, const int *places, int groups,
                       int filters, int K, int pixels, i64 plane, i64 size, const double *reals,
                       const i64 *integers, const i64 *table) {
    i64 at = (i64)blockIdx.x * blockDim.x + threadIdx.x;
    if (at >= size) return;
    int pixel = (int)(at % pixels);
    i64 channel = at / pixels, image_group = channel / filters;
    const typename Step::Operand *weights = w + (channel % ((i64)groups * filters)) * K;
    const typename Step::Operand *input = x + image_group * plane;
    Step step;
    step.load(sums, at, reals, integers);
    for (int k = 0; k < K; k++)
        step.add(input[places[(i64)k * pixels + pixel]], weights[k], reals, integers, table);
    step.store(sums, signs, at);
}

#define PRODUCT(NAME, STEP, TM, TN)                                                                          \
    extern "C" __global__ void tiled_##NAME(                                                                 \
        const STEP::Operand *a, const STEP::Operand *w, STEP::Sum *sums, signed char *signs, int M, int K,   \
        int N, i64 stride_a, i64 stride_w, const double *reals, const i64 *integers, const i64 *table) {     \
        tiled<STEP, TM, TN>(a, w, sums, signs, M, K, N, stride_a, stride_w, reals, integers, table);         \
    }                                                                                                        \
    extern "C" __global__ void direct_##NAME(                                                                \
        const STEP::Operand *x, const STEP::Operand *w, STEP::Sum *sums, signed char *signs,                 \
        const int *places, int groups, int filters, int K, int pixels, i64 plane, i64 size,                  \
        const double *reals, const i64 *integers, const i64 *table) {                                        \
        direct<STEP>(x, w, sums, signs, places, groups, filters, K, pixels, plane, size, reals, integers,    \
                     table);                                                                                 \
    }

PRODUCT(single, SingleStep, 8, 8)
PRODUCT(exact, ExactStep, 4, 4)
PRODUCT(rounded, RoundedStep, 4, 4)
PRODUCT(log, LogStep, 4, 4)
PRODUCT(watched, WatchedStep, 2, 2)

// ------------------------------------------------------------------------- log products by a table for a lane

// As tiled_log where sums are exact in float64 and entries have no low word: table [entries][sign][lane] of
// high words. An operand's sum with another is one addition and one minimum, its sign one XOR.
template <int TM, int TN>
__device__ void by_lanes(const u32 *a, const u32 *w, double *sums, int M, int K, int N, i64 stride_a,
                         i64 stride_w, int entries, const u32 *words, u32 *shared) {
    const int ROWS = 16 * TM, COLUMNS = 16 * TN;
    const u32 threads = blockDim.x;  // 256
    u32 *table = shared;
    u32 *a_places = table + entries * 64, *a_signs = a_places + STEPS * ROWS;
    u32 *w_places = a_signs + STEPS * ROWS, *w_signs = w_places + STEPS * COLUMNS;
    const u32 thread = threadIdx.x;
    for (u32 at = thread; at < (u32)entries * 64; at += threads) table[at] = words[at / 32];
    const int row = (thread / 16) * TM, column = (thread % 16) * TN;
    const int top = blockIdx.y * ROWS, left = blockIdx.x * COLUMNS;
    a += blockIdx.z * stride_a;
    w += blockIdx.z * stride_w;
    const u32 last = (u32)(entries - 1) * 256, lane = thread % 32 * 4;  // in bytes, as all places
    const char *words_of_lane = (const char *)table;
    double total[TM][TN];
#pragma unroll
    for (int i = 0; i < TM; i++)
#pragma unroll
        for (int j = 0; j < TN; j++) total[i][j] = 0.0;
    for (int start = 0; start < K; start += STEPS) {
        __syncthreads();
        for (u32 at = thread; at < ROWS * STEPS; at += threads) {
            int k = start + at % STEPS, m = top + at / STEPS;
            u32 value = k < K && m < M ? a[(i64)m * K + k] : 1u << 20;
            a_places[(at % STEPS) * ROWS + at / STEPS] = (value & 0x7FFFFFFFu) * 256;
            a_signs[(at % STEPS) * ROWS + at / STEPS] = (value >> 31) * 128;
        }
        for (u32 at = thread; at < COLUMNS * STEPS; at += threads) {
            int k = start + at / COLUMNS, n = left + at % COLUMNS;
            u32 value = k < K && n < N ? w[(i64)k * N + n] : 1u << 20;
            w_places[at] = (value & 0x7FFFFFFFu) * 256;
            w_signs[at] = (value >> 31) * 128;
        }
        __syncthreads();
#pragma unroll 2
        for (int k = 0; k < STEPS; k++) {
            u32 ap[TM], as[TM], wp[TN], ws[TN];
#pragma unroll
            for (int i = 0; i < TM; i++) {
                ap[i] = a_places[k * ROWS + row + i];
                as[i] = a_signs[k * ROWS + row + i] ^ lane;
            }
#pragma unroll
            for (int j = 0; j < TN; j++) {
                wp[j] = w_places[k * COLUMNS + column + j];
                ws[j] = w_signs[k * COLUMNS + column + j];
            }
#pragma unroll
            for (int i = 0; i < TM; i++)
#pragma unroll
                for (int j = 0; j < TN; j++) {
                    u32 place = ap[i] + wp[j];
                    place = place < last ? place : last;
                    const int word = *(const int *)(words_of_lane + (place ^ as[i] ^ ws[j]));
                    total[i][j] = __dadd_rn(total[i][j], __hiloint2double(word, 0));
                }
        }
    }
#pragma unroll
    for (int i = 0; i < TM; i++)
#pragma unroll
        for (int j = 0; j < TN; j++) {
            int m = top + row + i, n = left + column + j;
            if (m < M && n < N) sums[((i64)blockIdx.z * M + m) * N + n] = total[i][j];
        }
}

#define BY_LANES(NAME, TM, TN)                                                                               \
    extern "C" __global__ void __launch_bounds__(256) NAME(const u32 *a, const u32 *w, double *sums, int M,  \
                                                           int K, int N, i64 stride_a, i64 stride_w,         \
                                                           int entries, const u32 *words) {                  \
        extern __shared__ u32 shared[];                                                                      \
        by_lanes<TM, TN>(a, w, sums, M, K, N, stride_a, stride_w, entries, words, shared);                   \
    }

BY_LANES(lanes_4x4, 4, 4)
BY_LANES(lanes_4x8, 4, 8)
BY_LANES(lanes_8x4, 8, 4)

// ------------------------------------------------------------------------------------- half precision products

__device__ inline u32 exact_half(u16 a, u16 w, u16 c) {
    // No second rounding can be seen: see `is_rounded_once`. Subnormal results become zeros of their sign.
    double total = __fma_rn(double_of_half(a), double_of_half(w), double_of_half(c));
    double magnitude = total < 0.0 ? -total : total;
    u16 rounded = half_of_double(total);
    // Below 2^-14 - 2^-26 (half a unit of 11 bits) a number is subnormal, and flushed.
    if (magnitude < 6.103515625e-05 - 1.490116119384765625e-08) rounded &= 0x8000;
    return rounded;
}

__device__ u32 exact_pair(u32 a, u32 w, u32 c) {
    return exact_half((u16)a, (u16)w, (u16)c) | exact_half((u16)(a >> 16), (u16)(w >> 16), (u16)(c >> 16)) << 16;
}

__device__ inline u32 finished_pair(u32 pair) {  // every NaN becomes the format's
    u32 low = pair & 0xFFFFu, high = pair >> 16;
    if ((low & 0x7FFFu) > 0x7C00u) low = 0x7E00u;
    if ((high & 0x7FFFu) > 0x7C00u) high = 0x7E00u;
    return low | high << 16;
}

// sums [z][M][N] of half patterns; two columns a lane, 128 x 128 sums a block of 256 threads.
//
// With FLUSH, results below 2^-14 must become zero after rounding to 11 bits, which the device's step does not
// do. Such a result shows: it is not zero and at most 2^-14. The least magnitude of a tile's results that are
// not zero is kept (zero counts as the largest); where it is that small, the tile's steps run again, exactly.
template <bool FLUSH>
__device__ void halves(const u16 *a, const u16 *w, u16 *sums, int M, int K, int N, i64 stride_a,
                       i64 stride_w) {
    __shared__ __align__(16) u32 a_tile[STEPS][128];
    __shared__ __align__(16) u32 w_tile[STEPS][64];
    const int thread = threadIdx.x, row = (thread / 16) * 8, column = (thread % 16) * 4;
    const int top = blockIdx.y * 128, left = blockIdx.x * 128;
    a += blockIdx.z * stride_a;
    w += blockIdx.z * stride_w;
    sums += (i64)blockIdx.z * M * N;
    u32 total[8][4], before[8][4];
#pragma unroll
    for (int i = 0; i < 8; i++)
#pragma unroll
        for (int j = 0; j < 4; j++) {
            int m = top + row + i, n = left + 2 * (column + j);
            u32 low = m < M && n < N ? sums[(i64)m * N + n] : 0;
            u32 high = m < M && n + 1 < N ? sums[(i64)m * N + n + 1] : 0;
            total[i][j] = low | high << 16;
        }
    for (int start = 0; start < K; start += STEPS) {
        __syncthreads();
        for (int at = thread; at < 128 * STEPS; at += 256) {
            int k = start + at % STEPS, m = top + at / STEPS;
            u32 value = k < K && m < M ? a[(i64)m * K + k] : 0;
            a_tile[at % STEPS][at / STEPS] = value | value << 16;
        }
        for (int at = thread; at < 64 * STEPS; at += 256) {
            int k = start + at / 64, n = left + 2 * (at % 64);
            u32 low = k < K && n < N ? w[(i64)k * N + n] : 0;
            u32 high = k < K && n + 1 < N ? w[(i64)k * N + n + 1] : 0;
            w_tile[at / 64][at % 64] = low | high << 16;
        }
        __syncthreads();
        const int count = K - start < STEPS ? K - start : STEPS;
        u32 least = 0x7FFF7FFFu;
        if (FLUSH) {
#pragma unroll
            for (int i = 0; i < 8; i++)
#pragma unroll
                for (int j = 0; j < 4; j++) before[i][j] = total[i][j];
        }
#pragma unroll 4
        for (int k = 0; k < count; k++) {
            u32 left_operands[8], right_operands[4];
#pragma unroll
            for (int i = 0; i < 8; i++) left_operands[i] = a_tile[k][row + i];
#pragma unroll
            for (int j = 0; j < 4; j++) right_operands[j] = w_tile[k][column + j];
#pragma unroll
            for (int i = 0; i < 8; i++)
#pragma unroll
                for (int j = 0; j < 4; j++) {
                    total[i][j] = fma_half2(left_operands[i], right_operands[j], total[i][j]);
                    if (FLUSH) least = least_of_pairs(least, (total[i][j] & 0x7FFF7FFFu) + 0x7FFF7FFFu);
                }
        }
        if (FLUSH && ((short)least < (short)0x8400 || (short)(least >> 16) < (short)0x8400)) {
#pragma unroll
            for (int i = 0; i < 8; i++)
#pragma unroll
                for (int j = 0; j < 4; j++) {
                    u32 sum = before[i][j];
#pragma unroll 1
                    for (int k = 0; k < count; k++)
                        sum = exact_pair(a_tile[k][row + i], w_tile[k][column + j], sum);
                    total[i][j] = sum;
                }
        }
    }
#pragma unroll
    for (int i = 0; i < 8; i++)
#pragma unroll
        for (int j = 0; j < 4; j++) {
            int m = top + row + i, n = left + 2 * (column + j);
            u32 pair = finished_pair(total[i][j]);
            if (m < M && n < N) sums[(i64)m * N + n] = (u16)pair;
            if (m < M && n + 1 < N) sums[(i64)m * N + n + 1] = (u16)(pair >> 16);
        }
}

extern "C" __global__ void __launch_bounds__(256) halves_kept(const u16 *a, const u16 *w, u16 *sums, int M,
                                                              int K, int N, i64 stride_a, i64 stride_w) {
    halves<false>(a, w, sums, M, K, N, stride_a, stride_w);
}

extern "C" __global__ void __launch_bounds__(256) halves_flushed(const u16 *a, const u16 *w, u16 *sums, int M,
                                                                 int K, int N, i64 stride_a, i64 stride_w) {
    halves<true>(a, w, sums, M, K, N, stride_a, stride_w);
}

// Sums that float64 holds exactly as a register of 64 - spare bits has them, in units of 2^-shift.
extern "C" __global__ void registers(const double *sums, i64 *held, i64 size, int shift, int spare) {
    const i64 stride = (i64)gridDim.x * blockDim.x;
    for (i64 at = (i64)blockIdx.x * blockDim.x + threadIdx.x; at < size; at += stride)
        held[at] = (i64)((u64)(i64)sums[at] << (shift + spare)) >> spare;
}

// ------------------------------------------------------------------------------------- real values to codes

// The conversions of `formats/code_kernels.py`, from float64. Integers by kind, from place 1 on:
// 0 fixed point: code mask. reals: scale, low, high.
// 1 minifloat: fraction bits, bias, code of NaN, sign bit (negative: unsigned), keeps minus zero.
//   reals: overflow.
// 2 table over the leading bits: bits dropped, first, last, infinite (magnitudes from here on), sticky.
__device__ inline u32 code_of(double number, const double *reals, const i64 *integers, const u32 *table) {
    const i64 pattern = __double_as_longlong(number), magnitude = pattern & 0x7FFFFFFFFFFFFFFFLL;
    if (integers[0] == 0) {
        double steps = number != number ? 0.0 : __dmul_rn(number, reals[0]);
        steps = steps > reals[1] ? steps : reals[1];
        steps = steps < reals[2] ? steps : reals[2];
        return (u32)((i64)rint(steps) & integers[1]);
    }
    if (integers[0] == 1) {
        const i64 drop = 52 - integers[1], bias = integers[2], sign_bit = integers[4];
        if (magnitude > 0x7FF0000000000000LL) return (u32)integers[3];
        const i64 top = __double_as_longlong(reals[0]);
        const i64 limited = magnitude < top ? magnitude : top;
        const i64 anchor = (1023 + 1 - bias - integers[1] + 52) << 52;
        i64 code;
        if (limited < (1024 - bias) << 52) {
            code = __double_as_longlong(
                       __dadd_rn(__longlong_as_double(limited), __longlong_as_double(anchor))) - anchor;
        } else {
            const i64 rebased = limited - ((1023 - bias) << 52);
            code = (rebased + ((1LL << (drop - 1)) - 1) + ((rebased >> drop) & 1)) >> drop;
        }
        if (pattern < 0) {
            if (sign_bit < 0) return 0;
            if (code != 0 || integers[5]) code |= 1LL << sign_bit;
        }
        return (u32)code;
    }
    const i64 drop = integers[1], first = integers[2], last = integers[3], per_sign = last - first + 1;
    if (magnitude >= integers[4]) return table[2 * per_sign];
    i64 leading;
    if (integers[5]) {
        leading = (magnitude >> drop) << 1 | ((magnitude & ((1LL << drop) - 1)) != 0 ? 1 : 0);
    } else {
        leading = (magnitude + ((1LL << (drop - 1)) - 1) + ((magnitude >> drop) & 1)) >> drop;
    }
    leading = leading < first ? first : leading > last ? last : leading;
    return table[leading - first + (pattern < 0 ? per_sign : 0)];
}

// What counts[0..3] add up: beyond the largest values, became zero, infinite or NaN, false infinities.
// integers[6]: the code of zero. integers[7]: log2 of the size of `kinds`, 0 without (then a pattern is special
// by its value). kinds: 1 zero, 2 infinite or NaN, by code. reals[3..5]: largest, lowest, smallest positive.
template <class Real, class Code>
__device__ void encode(const Real *values, float scale, Code *codes, i64 size, const double *reals,
                       const i64 *integers, const u32 *table, const u8 *kinds, u64 *counts) {
    u32 beyond = 0, zeros = 0, special = 0;
    const i64 stride = (i64)gridDim.x * blockDim.x;
    for (i64 at = (i64)blockIdx.x * blockDim.x + threadIdx.x; at < size; at += stride) {
        Real value = values[at];
        if (scale != 1.0f) value = (Real)__fmul_rn((float)value, scale);
        const double real = (double)value;
        u32 code = code_of(real, reals, integers, table);
        u8 kind;
        if (integers[7]) {
            kind = kinds[code];
        } else {
            const double magnitude = real < 0.0 ? -real : real;
            kind = magnitude <= reals[3] ? (magnitude == 0.0 ? 1 : 0) : 2;
        }
        if ((kind & 2) && integers[7] && (real < 0.0 ? -real : real) < reals[5]) {
            code = (u32)integers[6];
            kind = 1;
        }
        beyond += (real > reals[3]) + (real < reals[4]);
        zeros += (kind & 1) - (real == 0.0);
        special += kind >> 1;
        codes[at] = (Code)code;
    }
    if (beyond) atomicAdd(&counts[0], (u64)beyond);
    if (zeros) atomicAdd(&counts[1], (u64)(i64)(int)zeros);
    if (special) atomicAdd(&counts[2], (u64)special);
}

#define ENCODE(NAME, REAL, CODE)                                                                             \
    extern "C" __global__ void NAME(const REAL *values, float scale, CODE *codes, i64 size,                  \
                                    const double *reals, const i64 *integers, const u32 *table,              \
                                    const u8 *kinds, u64 *counts) {                                          \
        encode<REAL, CODE>(values, scale, codes, size, reals, integers, table, kinds, counts);               \
    }

ENCODE(encode_single_uint8, float, u8)
ENCODE(encode_single_uint16, float, u16)
ENCODE(encode_single_uint32, float, u32)
ENCODE(encode_double_uint8, double, u8)
ENCODE(encode_double_uint16, double, u16)
ENCODE(encode_double_uint32, double, u32)

// ------------------------------------------------------------------------------------ distances from float32

// `differences` of inference/tensor_kernels.py for each block's part of `size` values: the same sixteen lanes,
// in the same order. sums [parts][5].
extern "C" __global__ void differences(const float *reference, const float *values, double *sums, i64 size) {
    __shared__ double lanes[5][16];
    reference += blockIdx.x * size;
    values += blockIdx.x * size;
    const double infinity = __longlong_as_double(0x7FF0000000000000LL);
    const int lane = threadIdx.x;
    const i64 whole = size / 16 * 16;
    double power = 0.0, value_power = 0.0, product = 0.0, noise = 0.0, largest = 0.0;
#pragma unroll 8
    for (i64 at = lane; at < whole; at += 16) {
        double x = (double)reference[at], y = (double)values[at];
        y = (y < 0.0 ? -y : y) < infinity ? y : 0.0;
        double error = __dadd_rn(y, -x), extent = error < 0.0 ? -error : error;
        power = __dadd_rn(power, __dmul_rn(x, x));
        value_power = __dadd_rn(value_power, __dmul_rn(y, y));
        product = __dadd_rn(product, __dmul_rn(x, y));
        noise = __dadd_rn(noise, __dmul_rn(error, error));
        largest = extent > largest ? extent : largest;
    }
    lanes[0][lane] = power, lanes[1][lane] = value_power, lanes[2][lane] = product;
    lanes[3][lane] = noise, lanes[4][lane] = largest;
    __syncthreads();
    if (lane == 0) {
        for (i64 at = whole; at < size; at++) {
            double x = (double)reference[at], y = (double)values[at];
            y = (y < 0.0 ? -y : y) < infinity ? y : 0.0;
            double error = __dadd_rn(y, -x), extent = error < 0.0 ? -error : error;
            lanes[0][0] = __dadd_rn(lanes[0][0], __dmul_rn(x, x));
            lanes[1][0] = __dadd_rn(lanes[1][0], __dmul_rn(y, y));
            lanes[2][0] = __dadd_rn(lanes[2][0], __dmul_rn(x, y));
            lanes[3][0] = __dadd_rn(lanes[3][0], __dmul_rn(error, error));
            lanes[4][0] = extent > lanes[4][0] ? extent : lanes[4][0];
        }
        double *found = sums + blockIdx.x * 5;
        for (int figure = 0; figure < 4; figure++) {
            double total = 0.0;
            for (int other = 0; other < 16; other++) total = __dadd_rn(total, lanes[figure][other]);
            found[figure] = total;
        }
        double greatest = 0.0;
        for (int other = 0; other < 16; other++)
            greatest = lanes[4][other] > greatest ? lanes[4][other] : greatest;
        found[4] = greatest;
    }
}
