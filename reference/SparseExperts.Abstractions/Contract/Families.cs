namespace SparseExperts;

/// <summary>
/// Matrix products. Every output is one chain in ascending k: <c>acc = C₀</c> (0, or C when accumulating), then
/// <c>acc = fma(aₖ, bₖ, acc)</c>. Blocking, packing, SIMD width and threads never change the chain.
/// </summary>
public interface ILinearAlgebra
{
    /// <summary>C (+)= op(A)·op(B), op = transpose where the flag says so. Shapes [M,K]·[K,N] → [M,N].</summary>
    void Gemm(Matrix a, bool transposeA, Matrix b, bool transposeB, Matrix c, bool accumulate);

    /// <summary>C = S + A·B as <see cref="Gemm"/> has it where C holds S before: the first chain of every output starts there.</summary>
    void GemmAdd(Matrix start, Matrix a, Matrix b, Matrix c);

    /// <summary>
    /// C[o_g…o_{g+1}) (+)= A[o_g…o_{g+1}) · op(B_g): row blocks of A meet their own matrix. B holds the G matrices one
    /// below the other; <paramref name="offsets"/> has G+1 ascending entries, the last is at most A.Rows. Rows of C that are in no group become 0, or stay
    /// when accumulating. Offsets that the backend made are not looked at by the host: A.Rows is all that is known of them.
    /// </summary>
    void GemmGrouped(Matrix a, Matrix b, bool transposeB, Matrix c, Indices offsets, bool accumulate);

    /// <summary>
    /// C (+)= Σ_t a_tᵀ·b_t over the rows of A [T,M] and B [T,N], in the order of <see cref="SumTree"/>: the gradient of a weight that every token
    /// meets. The sum starts at 0 and is added to C once.
    /// </summary>
    /// <param name="sequence">Rows of a sequence; 0 where rows are no tokens.</param>
    void GemmOuter(Matrix a, Matrix b, Matrix c, int sequence, bool accumulate);

    /// <summary>
    /// B_g (+)= A[o_g…o_{g+1})ᵀ · C[o_g…o_{g+1}): the weight gradient of <see cref="GemmGrouped"/>, one chain a group, because a group's matrix has
    /// one owner, who has all of its rows. An empty group gives 0.
    /// </summary>
    void GemmGroupedOuter(Matrix a, Matrix c, Matrix b, Indices offsets, bool accumulate);

    /// <summary>
    /// Both gradients of Y = X·op(W) for tokens in sequences: dX (+)= dY·op(W)ᵀ as <see cref="Gemm"/> has it, and dW (+)= Σ_t x_tᵀ·dy_t (transposed where W
    /// is) as <see cref="GemmOuter"/> has it.
    /// </summary>
    void LinearBackward(Matrix x, Matrix w, bool transposeW, Matrix dy, int sequence, Matrix dx, bool accumulateX, Matrix dw, bool accumulateW);

    /// <summary>
    /// Both gradients of <see cref="GemmGrouped"/> with B as it is: dA (+)= dC·B_gᵀ in groups of rows, and dB_g (+)= A_gᵀ·dC_g as
    /// <see cref="GemmGroupedOuter"/> has it.
    /// </summary>
    void GemmGroupedBackward(Matrix a, Matrix b, Matrix dc, Indices offsets, Matrix da, bool accumulateA, Matrix db, bool accumulateB);

    /// <summary>C = A·B_g in groups of rows as <see cref="GemmGrouped"/> has it, and Y = f(C).</summary>
    void GemmGroupedActivate(Matrix a, Matrix b, Indices offsets, Activation kind, Matrix c, Matrix y);

    /// <summary>
    /// Both gradients of f(X)·B_g in groups of rows, A = f(X): dX = (dC·B_gᵀ) ∘ f'(X), and dB_g (+)= A_gᵀ·dC_g as <see cref="GemmGroupedOuter"/> has it.
    /// </summary>
    void GemmGroupedActivateBackward(Activation kind, Matrix x, Matrix a, Matrix b, Matrix dc, Indices offsets, Matrix dx, Matrix db, bool accumulateB);
}

/// <summary>
/// The non-linear functions of a Transformer, and the elementary functions that routers and their losses need. See
/// <see cref="IPointwise.Activate"/> for the formulas.
/// </summary>
public enum Activation { Relu, GeluErf, GeluTanh, Silu, Sigmoid, Tanh, Softplus, Identity, Sqrt, Exp, Log, Erf }

/// <summary>Number formats that values are rounded to, to nearest even.</summary>
public enum NumberFormat { Float64, Float32, Float16, BFloat16 }

/// <summary>Where a run of random numbers lies: Philox 4x32-10 with key <paramref name="Seed"/> and counter (index, <paramref name="Stream"/>).</summary>
public readonly record struct RandomStream(ulong Seed, ulong Stream);

/// <summary>
/// Where the numbers of a matrix lie in a stream: element (r, c) has word <paramref name="Offset"/> + r·<paramref name="RowStride"/> + c. A shard of the
/// rows or of the columns has the offset and the stride of its place in the whole.
/// </summary>
public readonly record struct RandomWords(RandomStream Stream, long Offset, long RowStride);

/// <summary>Element by element; shapes equal, strides free.</summary>
public interface IPointwise
{
    /// <summary>C = A + B. C may be A or B.</summary>
    void Add(Matrix a, Matrix b, Matrix c);

    /// <summary>C (+)= A ∘ B (accumulating: fma(a, b, c)).</summary>
    void Multiply(Matrix a, Matrix b, Matrix c, bool accumulate);

    /// <summary>C (+)= factor · A (accumulating: fma(factor, a, c)). C may be A.</summary>
    void Scale(Matrix a, double factor, Matrix c, bool accumulate);

    /// <summary>C (+)= A / B.</summary>
    void Divide(Matrix a, Matrix b, Matrix c, bool accumulate);

    /// <summary>Y = min(max(X, low), high); NaN stays NaN. Y may be X.</summary>
    void Clamp(Matrix x, double low, double high, Matrix y);

    /// <summary>dX (+)= dY where low ≤ X ≤ high, else 0.</summary>
    void ClampBackward(Matrix x, double low, double high, Matrix dy, Matrix dx, bool accumulate);

    /// <summary>
    /// Y = X rounded to nearest even in <paramref name="format"/> and kept as a real; beyond the format's range ±∞. The gradient goes
    /// through unchanged. Y may be X.
    /// </summary>
    void Round(NumberFormat format, Matrix x, Matrix y);

    /// <summary>
    /// Y = X in the format of Y, whatever either is: rounded once to nearest even, ±∞ beyond the range, or exactly where Y's format has more digits. To a
    /// narrow format and back is <see cref="Round"/>.
    /// </summary>
    void Cast(Matrix x, Matrix y);

    /// <summary>
    /// Y = f(X). relu max(x, 0); gelu(erf) ½x(1 + erf(x/√2)); gelu(tanh) ½x(1 + tanh(√(2/π)(x + 0.044715x³)));
    /// silu x·σ(x); sigmoid 1/(1 + e⁻ˣ); tanh; softplus ln(1 + eˣ); identity; √x; eˣ; ln x; erf x.
    /// </summary>
    void Activate(Activation kind, Matrix x, Matrix y);

    /// <summary>dX (+)= dY ∘ f'(X). relu'(0) = 0.</summary>
    void ActivateBackward(Activation kind, Matrix x, Matrix dy, Matrix dx, bool accumulate);

    /// <summary>Y = f(gate) ∘ linear (GLU family, Shazeer 2020, eq. 5–6).</summary>
    void Gated(Activation kind, Matrix gate, Matrix linear, Matrix y);

    /// <summary>dGate (+)= dY ∘ linear ∘ f'(gate); dLinear (+)= dY ∘ f(gate).</summary>
    void GatedBackward(Activation kind, Matrix gate, Matrix linear, Matrix dy, Matrix dGate, bool accumulateGate, Matrix dLinear, bool accumulateLinear);

    /// <summary>
    /// Y (+)= X ∘ mask / (1 − rate), mask = [uniform ≥ rate], the uniforms at <paramref name="words"/>. With <paramref name="rows"/>, row r has the words of
    /// row index r there, and a row of −1 is dropped. The gradient is the same op on dY. Y may be X.
    /// </summary>
    void Dropout(Matrix x, double rate, in RandomWords words, Indices? rows, Matrix y, bool accumulate);

    /// <summary>
    /// Rotary positions (Su et al. 2021, eq. 34) in the half-split layout: for every head of width d and i &lt; d/2,
    /// (y_i, y_{i+d/2}) = (x_i cos − x_{i+d/2} sin, x_{i+d/2} cos + x_i sin); row r uses row r mod S of the tables
    /// [S, d/2]. With <paramref name="inverse"/> the angle changes sign, which is the gradient. Y may be X.
    /// </summary>
    void Rotary(Matrix x, Matrix cosines, Matrix sines, int headWidth, bool inverse, Matrix y, bool accumulate);
}

/// <summary>
/// Ops along rows. Sums along a row use 16 lanes and a fixed tree; sums down a column go over tokens, in the order of <see cref="SumTree"/>,
/// start at 0 and are added to their target once; <c>sequence</c> is the number of rows of a sequence, 0 where rows are no tokens.
/// </summary>
public interface IRows
{
    /// <summary>y_j = e^{x_j − max} / Σ e^{x_k − max}. A row with NaN or +∞ is NaN throughout.</summary>
    void Softmax(Matrix x, Matrix y);

    /// <summary>dx_j (+)= y_j (dy_j − Σ dy_k y_k).</summary>
    void SoftmaxBackward(Matrix y, Matrix dy, Matrix dx, bool accumulate);

    /// <summary>y_j = x_j − max − ln Σ e^{x_k − max}.</summary>
    void LogSoftmax(Matrix x, Matrix y);

    /// <summary>dx_j (+)= dy_j − e^{y_j} Σ dy_k.</summary>
    void LogSoftmaxBackward(Matrix y, Matrix dy, Matrix dx, bool accumulate);

    /// <summary>y = max + ln Σ e^{x_k − max}; Y is [rows, 1].</summary>
    void LogSumExp(Matrix x, Matrix y);

    /// <summary>dx_j (+)= dy · e^{x_j − y}.</summary>
    void LogSumExpBackward(Matrix x, Matrix y, Matrix dy, Matrix dx, bool accumulate);

    /// <summary>y = x / √(mean x² + ε) ∘ w (Zhang &amp; Sennrich 2019, eq. 4). <paramref name="scale"/> [rows,1] keeps 1/√(…).</summary>
    void RmsNorm(Matrix x, Matrix weight, double epsilon, Matrix y, Matrix scale);

    void RmsNormBackward(Matrix x, Matrix weight, Matrix scale, Matrix dy, int sequence, Matrix dx, bool accumulateX, Matrix dWeight, bool accumulateWeight);

    /// <summary>y = (x − μ) / √(σ² + ε) ∘ w + b (Ba et al. 2016). <paramref name="statistics"/> [rows,2] keeps μ and 1/√(σ²+ε).</summary>
    void LayerNorm(Matrix x, Matrix weight, Matrix bias, double epsilon, Matrix y, Matrix statistics);

    void LayerNormBackward(Matrix x, Matrix weight, Matrix statistics, Matrix dy, int sequence, Matrix dx, bool accumulateX,
        Matrix dWeight, Matrix dBias, bool accumulateParameters);

    /// <summary>
    /// loss_r = lse(x_r) − (1 − s)·x_{r,label} − s·mean_j x_{rj}, s = label smoothing. A label of −100 gives loss 0 and no gradient;
    /// any other label outside 0…columns−1 counts as −100 and is a fault (<see cref="IBackend.TakeFault"/>).
    /// <paramref name="losses"/> and <paramref name="logSums"/> are [rows,1].
    /// </summary>
    void CrossEntropy(Matrix logits, Indices labels, double smoothing, Matrix losses, Matrix logSums);

    /// <summary>dx_j (+)= dloss_r · (e^{x_j − lse} − s/n − (1 − s)[j = label]).</summary>
    void CrossEntropyBackward(Matrix logits, Indices labels, double smoothing, Matrix logSums, Matrix dLosses, Matrix dLogits, bool accumulate);

    /// <summary>y_j (+)= Σ_r x_rj; Y is [1, columns].</summary>
    void SumColumns(Matrix x, Matrix y, int sequence, bool accumulate);

    /// <summary>y_rj (+)= x_rj · s_r; S is [rows, 1].</summary>
    void ScaleRows(Matrix x, Matrix s, Matrix y, bool accumulate);

    /// <summary>y_r (+)= Σ_j a_rj b_rj; Y is [rows, 1].</summary>
    void RowDots(Matrix a, Matrix b, Matrix y, bool accumulate);

    /// <summary>y = factor·Σ_r x_r² of a column X [rows, 1], the sum over tokens; Y is 1×1.</summary>
    void SumSquares(Matrix x, double factor, int sequence, Matrix y);

    /// <summary>dx_r (+)= (2·factor·dy)·x_r; accumulating: fused.</summary>
    void SumSquaresBackward(Matrix x, double factor, Matrix dy, Matrix dx, bool accumulate);

    /// <summary>
    /// y_r = Σ x_k² over the elements o_r … o_{r+1} − 1 of X, which is one row: rows of many lengths that lie one behind the other. Each has its own 16 lanes,
    /// as in <see cref="RowDots"/>. Y is [runs, 1]; <paramref name="offsets"/> has runs + 1 ascending entries, the last is at most X.Columns;
    /// one that is not is a fault (<see cref="IBackend.TakeFault"/>) and is moved to the nearest that would be right.
    /// </summary>
    void RunSquares(Matrix x, Indices offsets, Matrix y);
}

/// <summary>
/// Rows and elements chosen by integers. An index of −1 means "nothing": a gather reads 0, a scatter skips. Any other index outside of the rows or columns
/// counts as −1 and is a fault (<see cref="IBackend.TakeFault"/>).
/// </summary>
public interface IIndexing
{
    /// <summary>y_r (+)= x_{index r}; of narrow formats the bits themselves, which cannot be added.</summary>
    void GatherRows(Matrix x, Indices rows, Matrix y, bool accumulate);

    /// <summary>y_{index r} += x_r, one chain in ascending r that starts from what is there: rows that share a slot.</summary>
    void ScatterAddRows(Matrix x, Indices rows, Matrix y);

    /// <summary>
    /// y_i += Σ x_r over the rows r with index i, in the order of <see cref="SumTree"/>, from 0 and added once: the gradient of a table that every
    /// token looks into. Rows of Y that no index names stay as they are.
    /// </summary>
    void ScatterAddTokens(Matrix x, Indices rows, Matrix y, int sequence);

    /// <summary>y_r = x_{r, index r}; Y is [rows, 1].</summary>
    void GatherColumns(Matrix x, Indices columns, Matrix y);

    /// <summary>y_{r, index r} += x_r; X is [rows, 1].</summary>
    void ScatterAddColumns(Matrix x, Indices columns, Matrix y);
}

/// <summary>
/// Numbers of one AdamW step; corrections are 1 − βᵗ. Kept in double; every constant that the update needs is rounded once to the backend's reals.
/// </summary>
public readonly record struct AdamWStep(
    double Rate,
    double Beta1,
    double Beta2,
    double Epsilon,
    double WeightDecay,
    double Correction1,
    double Correction2)
{
    public double Decay => 1 - Rate * WeightDecay;
    public double StepSize => Rate / Correction1;
    public double RootCorrection2 => Math.Sqrt(Correction2);
}

/// <summary>
/// Numbers of one Adafactor step. <paramref name="Decay"/> is β₂ of this step. With
/// <paramref name="LeastScale"/> the rate is multiplied by the parameter's root mean square, or by that number where it is smaller; null leaves the rate as it
/// is. <paramref name="Beta1"/> counts only with momentum.
/// </summary>
public readonly record struct AdafactorStep(
    double Rate, double Decay, double Epsilon, double? LeastScale, double ClipThreshold, double Beta1, double WeightDecay);

/// <summary>
/// Parameter updates. What they multiply a gradient by first, a [1, 1] <c>factor</c>, lies where the gradient does, so that nobody waits for it. Where it is
/// not finite the step is left out: an update changes nothing.
/// </summary>
public interface IOptimizers
{
    /// <summary>
    /// What a step is multiplied by, from the squares of its whole gradient ([n, 1], n ≥ 0) and its loss ([1, 1]):
    /// <code>
    /// norm   = √Σ squares                                   in 256 lanes, sixteen sums of sixteen lanes that are sixteen lanes themselves
    /// factor = min(1, clip / (norm + 10⁻⁶))                 (PyTorch clip_grad_norm_); 1 where clip is 0
    /// </code>
    /// A step that would poison the parameters is left out (GLaM, Du et al. 2022, section 4.3): factor is NaN where norm or loss is not finite, where an op has
    /// met an index out of its range that nobody took (<see cref="IBackend.TakeFault"/>), and where <paramref name="before"/>, the [1, 1] factor of the step
    /// before, is not finite: whoever hears of one that was left out goes on from there. Y is [1, 3]: factor, norm, loss.
    /// </summary>
    void StepFactor(Matrix squares, Matrix loss, double clip, Matrix before, Matrix y);

    /// <summary>
    /// Decoupled weight decay (Loshchilov &amp; Hutter 2019, algorithm 2), in PyTorch's order: p ← p(1 − rate·decay); g ← factor·g;
    /// m ← m + (1−β₁)(g − m); v ← β₂v + (1−β₂)g²; p ← p − (rate/c₁)·m / (√v/√c₂ + ε).
    /// </summary>
    void AdamW(Matrix parameter, Matrix gradient, Matrix first, Matrix second, Matrix factor, in AdamWStep step);

    /// <summary>
    /// Adafactor (Shazeer &amp; Stern 2018, algorithms 4 and 5) for S matrices of m×n numbers one below the other. With g = factor·gradient and q = g² + ε:
    /// <code>
    /// R_i  ← β₂R_i + (1−β₂)/n · Σ_j q_ij                    rows [S·m, 1], 16 lanes
    /// C_sj ← β₂C_sj + (1−β₂)/m · Σ_i q_ij                   columns [S, n], the rows of a matrix as one sequence of a SumTree
    /// u_ij = g_ij · √(mean_s R / R_i) · 1/√C_sj
    /// size = rate · max(least scale, rms p) / max(1, rms u / clip threshold)
    /// x    = size · u, or with momentum M ← β₁M + (1−β₁)·size·u and x = M
    /// p    ← (1 − decay·rate·max(least scale, rms p)) · p − x
    /// </code>
    /// mean_s R adds the rows of a matrix in 16 lanes. rms = √(Σ²/(S·m·n)): squares of a row in 16 lanes, the rows of a matrix in 16 lanes, the matrices in
    /// 16 lanes. Nothing depends on threads or on the batch.
    /// </summary>
    void Adafactor(Matrix parameter, Matrix gradient, Matrix rows, Matrix columns, Matrix? momentum, Matrix factor, in AdafactorStep step);

    /// <summary>
    /// The same for what is not factored, as vectors are: V ← β₂V + (1−β₂)·q of every element, u = g/√V. The parameter counts as one matrix.
    /// </summary>
    void AdafactorUnfactored(Matrix parameter, Matrix gradient, Matrix second, Matrix? momentum, Matrix factor, in AdafactorStep step);
}
