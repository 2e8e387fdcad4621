namespace SparseExperts.Routing;

/// <summary>Routers that stand alone: hash, random, soft, by task, by binary code, by policy gradient.</summary>
static class OtherDialects
{
    static Dialect Code => new()
    {
        Name = "dselect_k.static",
        Summary = "k selectors as smooth binary codes, the same for all tokens",
        Source = "google-research dselect_k_moe.py",
        Evidence = Evidence.Read,
        Parameters = ["k", "entropy_coefficient", "activation"],
        Router = RouterForm.Constant,
        Score = Score.None,
        Selection = Selection.BinaryCode,
        K = 2,
        EntropyCoefficient = 1e-6,
    };

    public static IReadOnlyList<Dialect> All { get; } =
    [
        new()
        {
            Name = "roller.hash",
            Summary = "one expert by token id: no gate, no capacity, no loss",
            Source = "ParlAI hash_ladder.py; Roller et al. 2021",
            Evidence = Evidence.Read,
            Parameters = ["activation"],
            Router = RouterForm.None,
            Score = Score.None,
            Selection = Selection.HashTable,
            Gate = Gate.One,
        },
        new()
        {
            Name = "clark.rl_r",
            Summary = "expert sampled from the softmax, trained by policy gradient (a sketch: no public code)",
            Source = "Clark et al. 2022, section 3.3",
            Evidence = Evidence.Paper,
            Parameters = ["balance_coefficient", "activation"],
            Selection = Selection.PolicySample,
            Balance = BalanceLoss.Product,
            BalanceCoefficient = 0.01,
            TrainingExtra = TrainingExtra.Reinforce,
            ExtraCoefficient = 0.01,
        },
        new()
        {
            Name = "thor.random",
            Summary = "random experts, two passes and a consistency loss",
            Source = "thor transformer_thor_layer.py and translation_thor.py",
            Evidence = Evidence.Read,
            Parameters = ["activation"],
            Router = RouterForm.None,
            Score = Score.None,
            Selection = Selection.Random,
            Gate = Gate.One,
            TrainingExtra = TrainingExtra.Consistency,
        },
        Code,
        Code with { Name = "dselect_k.per_example", Summary = "k selectors as smooth binary codes, linear in the token", Router = RouterForm.Linear },
        new()
        {
            Name = "dts.gumbel",
            Summary = "dense to sparse: Gumbel softmax, all experts above 0.001 in training, top-k in evaluation",
            Source = "fastmoe CustomDTSGate; Nie et al. 2021",
            Evidence = Evidence.Read,
            Parameters = ["k", "temperature", "noise_multiplier", "activation"],
            Noise = LogitNoise.Gumbel,
            NoiseMultiplier = 1,
            Temperature = 2,
            Selection = Selection.DynamicTopK,
            K = 1,
            EvalNormalize = Normalize.Sum,
        },
        new()
        {
            Name = "speechmoe.top1",
            Summary = "the embedding joins the router's input; sparsity and mean-importance losses",
            Source = "3m-asr balance_loss.py; You et al. 2021",
            Evidence = Evidence.Read,
            Parameters = ["balance_coefficient", "activation"],
            Router = RouterForm.LinearWithEmbedding,
            Balance = BalanceLoss.MeanSquares,
            BalanceCoefficient = 0.15,
            SparsityCoefficient = 0.15,
        },
        new()
        {
            Name = "mmoe.softmax",
            Summary = "all experts, one softmax gate a task",
            Source = "keras-mmoe mmoe.py; Ma et al. 2018",
            Evidence = Evidence.Read,
            Parameters = ["activation"],
            Router = RouterForm.LinearPerTask,
            Selection = Selection.All,
        },
        new()
        {
            Name = "kudugunta.task",
            Summary = "top-2 by the task alone: all tokens of a task share their experts",
            Source = "Kudugunta et al. 2021, section 3",
            Evidence = Evidence.Paper,
            Parameters = ["k", "capacity_factor", "capacity", "balance_coefficient", "activation"],
            Router = RouterForm.TaskEmbedding,
            K = 2,
            Normalize = Normalize.Sum,
            Balance = BalanceLoss.Product,
            BalanceCoefficient = 0.01,
        },
        new()
        {
            Name = "demix.domain",
            Summary = "one expert a domain",
            Source = "DEMix, Gururangan et al. 2021, section 3",
            Evidence = Evidence.Paper,
            Parameters = ["activation"],
            Router = RouterForm.None,
            Score = Score.None,
            Selection = Selection.TaskTable,
            Gate = Gate.One,
        },
        new()
        {
            Name = "eigen.mixture",
            Summary = "the soft, dense mixture of 2013: all experts, softmax gates",
            Source = "Eigen et al. 2013, eq. 2",
            Evidence = Evidence.Paper,
            Parameters = ["activation"],
            Selection = Selection.All,
        },
    ];
}
