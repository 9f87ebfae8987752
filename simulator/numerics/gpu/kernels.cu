// Exact products, conversions and figures on the device.
//
// The same text is compiled for a GPU (NVRTC, contraction into fused multiply-adds off) and, with a shim that
// plays blocks and threads, for a CPU by the tests. Matrices are row-major. Every sum adds in the order of k.

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef long long i64;
typedef unsigned long long u64;

// ------------------------------------------------------------------------------- single and half precision

// As PTX: CuPy compiles with -ftz=true, which makes zeros of subnormal float32 numbers in all that is C++.
#if defined(__CUDACC__)
__device__ inline float fma_single(float a, float b, float c) {
    float d;
    asm("fma.rn.f32 %0, %1, %2, %3;" : "=f"(d) : "f"(a), "f"(b), "f"(c));
    return d;
}

__device__ inline float add_single(float a, float b) {
    float d;
    asm("add.rn.f32 %0, %1, %2;" : "=f"(d) : "f"(a), "f"(b));
    return d;
}

__device__ inline float subtract_single(float a, float b) {
    float d;
    asm("sub.rn.f32 %0, %1, %2;" : "=f"(d) : "f"(a), "f"(b));
    return d;
}

__device__ inline float multiply_single(float a, float b) {
    float d;
    asm("mul.rn.f32 %0, %1, %2;" : "=f"(d) : "f"(a), "f"(b));
    return d;
}

__device__ inline float divide_single(float a, float b) {
    float d;
    asm("div.rn.f32 %0, %1, %2;" : "=f"(d) : "f"(a), "f"(b));
    return d;
}

__device__ inline double widened(float x) {
    double d;
    asm("cvt.f64.f32 %0, %1;" : "=d"(d) : "f"(x));
    return d;
}

__device__ inline float narrowed(double x) {
    float f;
    asm("cvt.rn.f32.f64 %0, %1;" : "=f"(f) : "d"(x));
    return f;
}

__device__ inline u32 least_halves(u32 a, u32 b) {  // of |b|; a number where the other is NaN
    u32 d;
    asm("{.reg .b32 size; abs.f16x2 size, %2; min.f16x2 %0, %1, size;}" : "=r"(d) : "r"(a), "r"(b));
    return d;
}

__device__ inline u32 fma_half2(u32 a, u32 b, u32 c) {
    u32 d;
    asm("fma.rn.f16x2 %0, %1, %2, %3;" : "=r"(d) : "r"(a), "r"(b), "r"(c));
    return d;
}

__device__ inline u32 fma_half2_flushing(u32 a, u32 b, u32 c) {
    u32 d;
    asm("fma.rn.ftz.f16x2 %0, %1, %2, %3;" : "=r"(d) : "r"(a), "r"(b), "r"(c));
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
    return widened(f);
}
#endif

__device__ inline double widened(double x) { return x; }

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

// What steps share whose sums are of the operands' own type.
template <class Number>
struct FloatSum {
    typedef Number Operand;
    typedef Number Sum;
    Number sum;
    static __device__ Number none() { return 0; }
    __device__ void load(const Sum *sums, i64 at, const double *, const i64 *) { sum = sums[at]; }
    __device__ void store(Sum *sums, signed char *, i64 at) const { sums[at] = sum; }
};

// float32 fused multiply-adds.
struct SingleStep : FloatSum<float> {
    __device__ void add(float a, float w, const double *, const i64 *, const i64 *) {
        sum = fma_single(a, w, sum);
    }
};

// Exact integers in float64.
struct ExactStep : FloatSum<double> {
    __device__ void add(double a, double w, const double *, const i64 *, const i64 *) {
        sum = __fma_rn(a, w, sum);
    }
};

// float64 steps rounded to a format. reals: smallest, largest, end. integers: anchor, least, to odd first.
struct RoundedStep : FloatSum<double> {
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

#ifdef KERNELS_SINGLE
PRODUCT(single, SingleStep, 4, 4)
#endif
#ifdef KERNELS_EXACT
PRODUCT(exact, ExactStep, 4, 4)
#endif
#ifdef KERNELS_ROUNDED
PRODUCT(rounded, RoundedStep, 4, 4)
#endif
#ifdef KERNELS_LOG
PRODUCT(log, LogStep, 4, 4)
#endif
#ifdef KERNELS_WATCHED
PRODUCT(watched, WatchedStep, 2, 2)
#endif

// ------------------------------------------------------------------------- log products by a table for a lane

#define LANE_STEPS 8  // of k in a tile

// As tiled_log where sums are exact in float64, in any order, and entries have no low word: table [entries]
// [sign][lane] of high words. A sum of two operands is one addition and one minimum, its sign one XOR.
// ROWS x COLUMNS threads, each TM x TN sums. Blocks stay and take turns: an item is a tile of one matrix and
// `steps` of k, added to sums that start as zeros.
template <int ROWS, int COLUMNS, int TM, int TN>
__device__ void by_lanes(const u32 *a, const u32 *w, double *sums, int Z, int M, int K, int N, i64 stride_a,
                         i64 stride_w, int entries, int steps, const u32 *words, u32 *shared) {
    const int DOWN = ROWS * TM, ACROSS = COLUMNS * TN;
    const u32 threads = ROWS * COLUMNS;
    u32 *table = shared;
    u32 *a_places = table + entries * 64, *a_signs = a_places + LANE_STEPS * DOWN;
    u32 *w_places = a_signs + LANE_STEPS * DOWN, *w_signs = w_places + LANE_STEPS * ACROSS;
    const u32 thread = threadIdx.x;
    for (u32 at = thread; at < (u32)entries * 64; at += threads) table[at] = words[at / 32];
    const int row = (thread / COLUMNS) * TM, column = (thread % COLUMNS) * TN;
    const u32 last = (u32)(entries - 1) * 256, lane = thread % 32 * 4;  // in bytes, as all places
    const char *words_of_lane = (const char *)table;
    const i64 tiles_down = (M + DOWN - 1) / DOWN, tiles_across = (N + ACROSS - 1) / ACROSS;
    const i64 parts = (K + steps - 1) / steps, items = Z * tiles_down * tiles_across * parts;
    for (i64 item = blockIdx.x; item < items; item += gridDim.x) {
        const i64 part = item % parts, tile = item / parts;
        const int left = (int)(tile % tiles_across) * ACROSS;
        const int top = (int)(tile / tiles_across % tiles_down) * DOWN;
        const i64 z = tile / tiles_across / tiles_down;
        const u32 *a_matrix = a + z * stride_a, *w_matrix = w + z * stride_w;
        const int first = (int)part * steps, end = first + steps < K ? first + steps : K;
        double total[TM][TN];
#pragma unroll
        for (int i = 0; i < TM; i++)
#pragma unroll
            for (int j = 0; j < TN; j++) total[i][j] = 0.0;
        for (int start = first; start < end; start += LANE_STEPS) {
            __syncthreads();
            for (u32 at = thread; at < DOWN * LANE_STEPS; at += threads) {
                int k = start + at % LANE_STEPS, m = top + at / LANE_STEPS;
                u32 value = k < end && m < M ? a_matrix[(i64)m * K + k] : 1u << 20;
                a_places[(at % LANE_STEPS) * DOWN + at / LANE_STEPS] = (value & 0x7FFFFFFFu) * 256;
                a_signs[(at % LANE_STEPS) * DOWN + at / LANE_STEPS] = (value >> 31) * 128;
            }
            for (u32 at = thread; at < ACROSS * LANE_STEPS; at += threads) {
                int k = start + at / ACROSS, n = left + at % ACROSS;
                u32 value = k < end && n < N ? w_matrix[(i64)k * N + n] : 1u << 20;
                w_places[at] = (value & 0x7FFFFFFFu) * 256;
                w_signs[at] = (value >> 31) * 128;
            }
            __syncthreads();
#pragma unroll 1
            for (int k = 0; k < LANE_STEPS; k++) {
                u32 ap[TM], as[TM], wp[TN], ws[TN];
#pragma unroll
                for (int i = 0; i < TM; i++) {
                    ap[i] = a_places[k * DOWN + row + i];
                    as[i] = a_signs[k * DOWN + row + i] ^ lane;
                }
#pragma unroll
                for (int j = 0; j < TN; j++) {
                    wp[j] = w_places[k * ACROSS + column + j];
                    ws[j] = w_signs[k * ACROSS + column + j];
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
                if (m < M && n < N) atomicAdd(&sums[(z * M + m) * N + n], total[i][j]);
            }
    }
}

#define BY_LANES(NAME, ROWS, COLUMNS, TM, TN)                                                                \
    extern "C" __global__ void __launch_bounds__(512) NAME(                                                  \
        const u32 *a, const u32 *w, double *sums, int Z, int M, int K, int N, i64 stride_a, i64 stride_w,    \
        int entries, int steps, const u32 *words) {                                                          \
        extern __shared__ u32 shared[];                                                                      \
        by_lanes<ROWS, COLUMNS, TM, TN>(a, w, sums, Z, M, K, N, stride_a, stride_w, entries, steps, words,   \
                                        shared);                                                             \
    }

#ifdef KERNELS_LANES
BY_LANES(lanes_128x128, 32, 16, 4, 8)
BY_LANES(lanes_128x64, 32, 16, 4, 4)
BY_LANES(lanes_64x128, 16, 32, 4, 4)
BY_LANES(lanes_32x256, 8, 64, 4, 4)
#endif

// ------------------------------------------------------------------------------------- half precision products

#ifdef KERNELS_HALVES
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

// sums [z][M][N] of half patterns; two columns a lane, 64 x 64 sums a block of 128 threads.
//
// Results below 2^-14 must become zero after rounding to 11 bits where an accumulator flushes. FLUSH 1: which the
// device's step does not do. Such a result shows: it is not zero and at most 2^-14. The least magnitude of a
// step's results is kept; where it is that small, what is not zero is computed again, exactly. FLUSH 2: which the
// device's flushing step does (see `halves_compare`). FLUSH 0: subnormal results are kept.
template <int FLUSH>
__device__ void halves(const u16 *a, const u16 *w, u16 *sums, int M, int K, int N, i64 stride_a,
                       i64 stride_w) {
    __shared__ __align__(16) u32 a_tile[STEPS][64];
    __shared__ __align__(16) u32 w_tile[STEPS][32];
    const int thread = threadIdx.x, row = (thread / 16) * 8, column = (thread % 16) * 2;
    const int top = blockIdx.y * 64, left = blockIdx.x * 64;
    a += blockIdx.z * stride_a;
    w += blockIdx.z * stride_w;
    sums += (i64)blockIdx.z * M * N;
    u32 total[8][2];
#pragma unroll
    for (int i = 0; i < 8; i++)
#pragma unroll
        for (int j = 0; j < 2; j++) {
            int m = top + row + i, n = left + 2 * (column + j);
            u32 low = m < M && n < N ? sums[(i64)m * N + n] : 0;
            u32 high = m < M && n + 1 < N ? sums[(i64)m * N + n + 1] : 0;
            total[i][j] = low | high << 16;
        }
    for (int start = 0; start < K; start += STEPS) {
        __syncthreads();
        for (int at = thread; at < 64 * STEPS; at += 128) {
            int k = start + at % STEPS, m = top + at / STEPS;
            u32 value = k < K && m < M ? a[(i64)m * K + k] : 0;
            a_tile[at % STEPS][at / STEPS] = value | value << 16;
        }
        for (int at = thread; at < 32 * STEPS; at += 128) {
            int k = start + at / 32, n = left + 2 * (at % 32);
            u32 low = k < K && n < N ? w[(i64)k * N + n] : 0;
            u32 high = k < K && n + 1 < N ? w[(i64)k * N + n + 1] : 0;
            w_tile[at / 32][at % 32] = low | high << 16;
        }
        __syncthreads();
        const int count = K - start < STEPS ? K - start : STEPS;
#pragma unroll 4
        for (int k = 0; k < count; k++) {
            u32 left_operands[8], right_operands[2], after[8][2], least = 0x7C007C00u;
#pragma unroll
            for (int i = 0; i < 8; i++) left_operands[i] = a_tile[k][row + i];
#pragma unroll
            for (int j = 0; j < 2; j++) right_operands[j] = w_tile[k][column + j];
#pragma unroll
            for (int i = 0; i < 8; i++)
#pragma unroll
                for (int j = 0; j < 2; j++) {
                    after[i][j] = FLUSH == 2 ? fma_half2_flushing(left_operands[i], right_operands[j], total[i][j])
                                             : fma_half2(left_operands[i], right_operands[j], total[i][j]);
                    if (FLUSH == 1) least = least_halves(least, after[i][j]);
                }
            if (FLUSH == 1 && ((least & 0xFFFFu) <= 0x0400u || (least >> 16) <= 0x0400u)) {
#pragma unroll
                for (int i = 0; i < 8; i++)
#pragma unroll
                    for (int j = 0; j < 2; j++) {
                        const u32 low = after[i][j] & 0x7FFFu, high = after[i][j] >> 16 & 0x7FFFu;
                        if (low - 1u < 0x0400u || high - 1u < 0x0400u)
                            after[i][j] = exact_pair(left_operands[i], right_operands[j], total[i][j]);
                    }
            }
#pragma unroll
            for (int i = 0; i < 8; i++)
#pragma unroll
                for (int j = 0; j < 2; j++) total[i][j] = after[i][j];
        }
    }
#pragma unroll
    for (int i = 0; i < 8; i++)
#pragma unroll
        for (int j = 0; j < 2; j++) {
            int m = top + row + i, n = left + 2 * (column + j);
            u32 pair = finished_pair(total[i][j]);
            if (m < M && n < N) sums[(i64)m * N + n] = (u16)pair;
            if (m < M && n + 1 < N) sums[(i64)m * N + n + 1] = (u16)(pair >> 16);
        }
}

extern "C" __global__ void __launch_bounds__(128) halves_kept(const u16 *a, const u16 *w, u16 *sums, int M,
                                                              int K, int N, i64 stride_a, i64 stride_w) {
    halves<0>(a, w, sums, M, K, N, stride_a, stride_w);
}

extern "C" __global__ void __launch_bounds__(128) halves_flushed(const u16 *a, const u16 *w, u16 *sums, int M,
                                                                 int K, int N, i64 stride_a, i64 stride_w) {
    halves<1>(a, w, sums, M, K, N, stride_a, stride_w);
}

extern "C" __global__ void __launch_bounds__(128) halves_flushing(const u16 *a, const u16 *w, u16 *sums, int M,
                                                                  int K, int N, i64 stride_a, i64 stride_w) {
    halves<2>(a, w, sums, M, K, N, stride_a, stride_w);
}

// Whether the device's flushing step is ours: counts[0] the sums a w + c for which it is not, counts[1] all. Rows
// are (a, w, c); each is tried with its signs and its last bits changed, as both lanes.
extern "C" __global__ void halves_compare(const u16 *rows, i64 size, u64 *counts) {
    const i64 stride = (i64)gridDim.x * blockDim.x;
    u64 different = 0, all = 0;
    for (i64 at = (i64)blockIdx.x * blockDim.x + threadIdx.x; at < size * 64; at += stride) {
        const u32 change = (u32)(at % 64);
        const u16 *row = rows + at / 64 * 3;
        u32 a = row[0] ^ (change & 1) << 15, w = (u32)(row[1] ^ (change >> 1 & 1)), c = row[2];
        c = (c ^ (change >> 2 & 1) << 15) + (change >> 3 & 7);
        if ((c & 0x7FFFu) < 0x0400u) c &= 0x8000u;  // accumulators are never subnormal
        a |= a << 16, w |= w << 16, c |= c << 16;
        different += fma_half2_flushing(a, w, c) != exact_pair(a, w, c);
        all += 1;
    }
    if (different) atomicAdd(&counts[0], different);
    atomicAdd(&counts[1], all);
}
#endif

#ifdef KERNELS_OTHER
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
        if (scale != 1.0f) value = (Real)multiply_single((float)value, scale);
        const double real = widened(value);
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
        double x = widened(reference[at]), y = widened(values[at]);
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
            double x = widened(reference[at]), y = widened(values[at]);
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

// --------------------------------------------------------------------------------------------- elementwise

template <class Code, class Value>
__device__ void look_up(const Code *codes, const Value *table, Value *values, i64 size) {
    const i64 stride = (i64)gridDim.x * blockDim.x;
    for (i64 at = (i64)blockIdx.x * blockDim.x + threadIdx.x; at < size; at += stride)
        values[at] = table[codes[at]];
}

#define LOOK_UP(NAME, CODE, VALUE)                                                                           \
    extern "C" __global__ void NAME(const CODE *codes, const VALUE *table, VALUE *values, i64 size) {        \
        look_up<CODE, VALUE>(codes, table, values, size);                                                    \
    }

LOOK_UP(look_up_1_2, u8, u16)
LOOK_UP(look_up_1_4, u8, u32)
LOOK_UP(look_up_1_8, u8, u64)
LOOK_UP(look_up_2_2, u16, u16)
LOOK_UP(look_up_2_4, u16, u32)
LOOK_UP(look_up_2_8, u16, u64)
LOOK_UP(look_up_4_2, u32, u16)
LOOK_UP(look_up_4_4, u32, u32)
LOOK_UP(look_up_4_8, u32, u64)

// Two float32 numbers: 0 +, 1 -, 2 x, 3 /, 4 the larger one (NaN from either, the second of two equal ones).
// The second operand has `period` elements, each for `run` neighbours, over and over.
extern "C" __global__ void pairs(const float *a, const float *b, float *results, i64 size, i64 run, i64 period,
                                 int kind) {
    const i64 stride = (i64)gridDim.x * blockDim.x;
    for (i64 at = (i64)blockIdx.x * blockDim.x + threadIdx.x; at < size; at += stride) {
        const float x = a[at], y = b[at / run % period];
        float result;
        if (kind == 0) result = add_single(x, y);
        else if (kind == 1) result = subtract_single(x, y);
        else if (kind == 2) result = multiply_single(x, y);
        else if (kind == 3) result = divide_single(x, y);
        else result = widened(x) > widened(y) || x != x ? x : y;
        results[at] = result;
    }
}

// Values within bounds, which infinities leave out; what is equal to a bound, and NaN, stays as it is.
extern "C" __global__ void bounded(const float *values, float *results, i64 size, float low, float high) {
    const i64 stride = (i64)gridDim.x * blockDim.x;
    for (i64 at = (i64)blockIdx.x * blockDim.x + threadIdx.x; at < size; at += stride) {
        float result = values[at];
        if (widened(result) < widened(low)) result = low;
        if (widened(result) > widened(high)) result = high;
        results[at] = result;
    }
}

extern "C" __global__ void widen(const float *values, double *results, i64 size) {
    const i64 stride = (i64)gridDim.x * blockDim.x;
    for (i64 at = (i64)blockIdx.x * blockDim.x + threadIdx.x; at < size; at += stride)
        results[at] = widened(values[at]);
}

// float64 to float32, rounded once.
extern "C" __global__ void narrow(const double *values, float *results, i64 size) {
    const i64 stride = (i64)gridDim.x * blockDim.x;
    for (i64 at = (i64)blockIdx.x * blockDim.x + threadIdx.x; at < size; at += stride)
        results[at] = narrowed(values[at]);
}

// Registers x unit x scale of the channel + its offset, in float64 and rounded once to float32.
extern "C" __global__ void scaled(const i64 *sums, float *results, i64 size, i64 run, i64 channels, double unit,
                                  const double *scales, const double *offsets, int has_offsets) {
    const i64 stride = (i64)gridDim.x * blockDim.x;
    for (i64 at = (i64)blockIdx.x * blockDim.x + threadIdx.x; at < size; at += stride) {
        const i64 channel = at / run % channels;
        double real = __dmul_rn(__dmul_rn((double)sums[at], unit), scales[channel]);
        if (has_offsets) real = __dadd_rn(real, offsets[channel]);
        results[at] = narrowed(real);
    }
}

// Registers that wrap at 64 - spare bits, with the channel's units added and shifted by `exponent`, through the
// converter to codes (see `encode`), and the values of the codes x `factor`. What lies beyond `half` and became
// zero is the smallest code of its sign (half < 0: never); the lowest register is 0 where `lowest_is_zero`.
extern "C" __global__ void converted(const i64 *sums, float *results, i64 size, i64 run, i64 channels,
                                     const i64 *units, int spare, int exponent, int lowest_is_zero, i64 half,
                                     double unit, double factor, const double *reals, const i64 *integers,
                                     const u32 *table, const u8 *kinds, const double *values) {
    const i64 stride = (i64)gridDim.x * blockDim.x;
    const i64 lowest = (i64)(0x8000000000000000ULL) >> spare;
    for (i64 at = (i64)blockIdx.x * blockDim.x + threadIdx.x; at < size; at += stride) {
        u64 sum = (u64)sums[at] + (u64)units[at / run % channels];
        i64 held = (i64)(sum << spare) >> spare;
        if (exponent > 0) held = (i64)((u64)held << (exponent + spare)) >> spare;
        if (exponent < 0) held >>= -exponent;
        if (lowest_is_zero && held == lowest) held = 0;
        const double real = __dmul_rn((double)held, unit);
        u32 code = code_of(real, reals, integers, table);
        const double magnitude = real < 0.0 ? -real : real;
        if ((kinds[code] & 2) && magnitude < reals[5]) code = (u32)integers[6];
        if (half >= 0 && code == 0) {
            if (held > half) code = 1;
            if (held < -half) code = 1u | 1u << (integers[7] - 1);
        }
        results[at] = narrowed(__dmul_rn(values[code], factor));
    }
}
#endif
