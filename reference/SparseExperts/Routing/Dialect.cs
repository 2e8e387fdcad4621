namespace SparseExperts.Routing;

/// <summary>
/// What one implementation of sparse experts computes, as data: a point in the space of the axes below. One engine interprets every
/// dialect; nothing anywhere asks for a name. What differs in evaluation has a twin; <see cref="For"/> gives the form of one mode.
/// </summary>
public sealed record Dialect
{
    public required string Name { get; init; }

    /// <summary>One line for the table.</summary>
    public required string Summary { get; init; }

    /// <summary>Repository and function, or paper and section.</summary>
    public required string Source { get; init; }
    public required Evidence Evidence { get; init; }

    /// <summary>The axes and numbers that the library itself lets its users set, by their names in files. Others are refused in a case file.</summary>
    public required IReadOnlyList<string> Parameters { get; init; }

    /// <summary>The dialect whose rule it is, where it only has a name and defaults of its own; null for a rule of its own.</summary>
    public string? RuleOf { get; init; }

    // Router
    [Means("how a token becomes logits")] public RouterForm Router { get; init; }
    [Means("the linear router has a bias")] public bool RouterBias { get; init; }
    [Means("number format in which the router's weight is stored, where it differs from the router's")] public NumberFormat? RouterWeightDtype { get; init; }
    [Means("number format of the router where it differs from the tokens'")] public NumberFormat? RouterDtype { get; init; }
    [Means("number format of the logits")] public NumberFormat? LogitsDtype { get; init; }
    [Means("number format of the scores before they are ranked")] public NumberFormat? ScoreDtype { get; init; }
    [Means("number format of the gates that the experts are handed")] public NumberFormat? GateDtype { get; init; }
    [Means("the router reads RMS(x)∘w, w its own, times router_input_scale", "transformers modeling_gemma4.py")] public bool RouterNorm { get; init; }
    [Means("ε of the router's norms: x/√(mean x² + ε)")] public double RouterNormEpsilon { get; init; } = 1e-6;
    [Means("factor behind the router's norm; not set: M^−½", "transformers modeling_gemma4.py")] public double? RouterInputScale { get; init; }
    [Means("keys a half of a product-key router; 0: √E", "Lample et al. 2019, section 3.1")] public int ProductKeys { get; init; }
    [Means("whose products the two halves of a token's keys are")] public KeySplit KeySplit { get; init; }
    [Means("factor on the logits", "transformers modeling_muse_spark.py")] public double LogitsScale { get; init; } = 1;
    [Means("logits become c·tanh(l/c); 0 is off", "transformers modeling_laguna.py")] public double LogitsSoftcap { get; init; }
    [Means("what disturbs the router")] public RouterPolicy RouterPolicy { get; init; }
    [Means("when the router's input is disturbed")] public Phase RouterPolicyPhase { get; init; } = Phase.Training;
    [Means("of the policies only the jitter is honoured", "mesh moe.py _ntlb_gating")] public bool JitterAlone { get; init; }
    [Means("half width of the jitter; 0 is off")] public double Jitter { get; init; } = 0.01;
    [Means("who sees the jitter")] public JitterReach JitterReach { get; init; }
    [Means("rate of the router's input dropout")] public double InputDropout { get; init; } = 0.1;
    [Means("temperature of the sampling; of the Gumbel softmax")] public double Temperature { get; init; } = 1;
    [Means("share of tokens whose best logit is knocked out while training", "mesh moe.py, use_second_place_expert_prob")]
    public double SecondPlaceProbability { get; init; }
    [Means("temperature of the sampling among the others; 0 takes the second best", "mesh moe.py")] public double SecondPlaceTemperature { get; init; }

    // Noise on logits
    [Means("noise on the logits")] public LogitNoise Noise { get; init; }
    [Means("when there is noise")] public Phase NoisePhase { get; init; } = Phase.Training;
    [Means("standard deviation of the noise, divided by E")] public double NoiseStd { get; init; } = 1;
    [Means("smallest deviation of the noise", "Shazeer et al. 2017, code")] public double NoiseEpsilon { get; init; } = 1e-2;
    [Means("factor of the Gumbel noise; 0 is off")] public double NoiseMultiplier { get; init; }

    // Scores
    [Means("from logits to scores")] public Score Score { get; init; }

    // Selection
    [Means("who chooses whom")] public Selection Selection { get; init; }
    [Means("choices a token; at two levels, those inside a group")] public int K { get; init; } = 1;
    [Means("what is ranked")] public SelectBy SelectBy { get; init; }
    [Means("a bias is added for selection only", "DeepSeek-V3 report, eq. 16")] public bool CorrectionBias { get; init; }
    [Means("images (tokens of task 1) have a correction bias of their own", "transformers modeling_deepseek_v41.py")]
    public bool BiasOfImages { get; init; }
    [Means("step of the correction bias", "DeepSeek-V3 report, section 2.1.2")] public double BiasRate { get; init; }
    [Means("the step is centred: its mean over the experts is taken off", "torchtitan components/optimizer")] public bool BiasCentred { get; init; }
    [Means("tokens that the step counts")] public BiasTokens BiasTokens { get; init; }
    [Means("groups of experts")] public int Groups { get; init; } = 1;
    [Means("groups that a token keeps")] public int GroupsKept { get; init; } = 1;
    [Means("score of a group")] public GroupScore GroupScore { get; init; }
    [Means("what experts of other groups get")] public GroupMask GroupMask { get; init; } = GroupMask.MinusInfinity;
    [Means("which of equal scores is taken")] public TieRule Ties { get; init; }
    [Means("the order of a token's choices is open")] public bool OpenOrder { get; init; }
    [Means("choice j of token t is expert (t·k + j) mod E, t counted over all groups; gates are the scores found there", "torchtitan models/common/moe.py")]
    public bool ForceBalance { get; init; }
    [Means("what happens to an expert that the token has already chosen")] public Taken Taken { get; init; }
    [Means("what later choices are ranked by, where it is not what the first is ranked by")] public SelectBy? LaterBy { get; init; }
    [Means("which later choices are used")] public Policy Policy { get; init; }
    [Means("which later choices are used in evaluation, where that differs")] public Policy? EvalPolicy { get; init; }
    [Means("threshold of the policy; of the near winners")] public double Threshold { get; init; }
    [Means("upper threshold of the policy entropy", "TensorRT-LLM #10672")] public double UpperThreshold { get; init; }
    [Means("choices that the policy entropy leaves to a token at least", "TensorRT-LLM #10672")] public int KLeast { get; init; } = 1;
    [Means("test of the random policy")] public RandomTest RandomTest { get; init; }
    [Means("padding in routing")] public PaddingRule Padding { get; init; }
    [Means("padding in the logits")] public PaddingLogits PaddingLogits { get; init; }
    [Means("padding rule applies: the library's own switch", "flaxformer ignore_padding_tokens")] public bool? IgnorePadding { get; init; }

    // Capacity and priority
    [Means("slots an expert has in a group")] public CapacityFormula CapacityFormula { get; init; }
    [Means("capacity factor")] public double CapacityFactor { get; init; } = 1;
    [Means("capacity factor in evaluation, where it differs")] public double? EvalCapacityFactor { get; init; }
    [Means("an absolute capacity; wins")] public int? Capacity { get; init; }
    [Means("in evaluation, capacity as a share of the tokens, rounded up; −1 is off", "fairseq top1gate.py")] public double? CapacityFraction { get; init; }
    [Means("from a real capacity to a whole one")] public CapacityRounding CapacityRounding { get; init; }
    [Means("smallest capacity")] public int MinCapacity { get; init; }
    [Means("limit by the tokens of the group")] public CapacityLimit CapacityLimit { get; init; }
    [Means("capacity is rounded up to a multiple; 0 is off", "vmoe; Tutel calls it alignment")] public int CapacityMultiple { get; init; }
    [Means("experts are filled up to the capacity with tokens of gate 0, which count", "megatron moe_utils.py, apply_router_token_dropping")]
    public bool PadToCapacity { get; init; }
    [Means("who keeps a slot")] public DropPolicy DropPolicy { get; init; }
    [Means("the order in which requests are served")] public RequestOrder Order { get; init; }
    [Means("tokens are served by descending best score: batch-prioritised routing", "Riquelme et al. 2021, section 4")]
    public bool BatchPrioritized { get; init; }
    [Means("the order of tokens with equal best scores is open", "torch.argsort documentation")] public bool OpenBatchTies { get; init; }
    [Means("the largest load is read where the last token's requests are counted, which batch-prioritised routing puts anywhere", "tutel fast_dispatch.py")]
    public bool LoadAtLastToken { get; init; }
    [Means("who of equals keeps a slot is open")] public bool OpenDropTies { get; init; }
    [Means("which number a kept request gets")] public SlotOrder SlotOrder { get; init; }
    [Means("what a choice without a slot does")] public DroppedOutput DroppedOutput { get; init; }

    // Gates
    [Means("what multiplies an expert's output")] public Gate Gate { get; init; }
    [Means("what gates are divided by")] public Normalize Normalize { get; init; }
    [Means("what gates are divided by in evaluation, where that differs")] public Normalize? EvalNormalize { get; init; }
    [Means("a single choice is divided too, and becomes 1")] public bool NormalizeSingle { get; init; } = true;
    [Means("guard of the division")] public NormalizeGuard NormalizeGuard { get; init; }
    [Means("guard of the division after dropping, where it differs")] public NormalizeGuard? LateNormalizeGuard { get; init; }
    [Means("number of the guard")] public double NormalizeEpsilon { get; init; }
    [Means("factor on the gates")] public double ScalingFactor { get; init; } = 1;
    [Means("the gate of a choice is multiplied by a learned number of its expert, after everything else", "transformers modeling_gemma4.py")]
    public bool ExpertScale { get; init; }
    [Means("all gates, those of shared experts too, are multiplied by one learned number", "transformers modeling_inkling.py")]
    public bool GlobalScale { get; init; }
    [Means("shared experts take part in the gates' normalisation: each has a row in the router", "transformers modeling_inkling.py")]
    public bool SharedInGates { get; init; }
    [Means("so many shared experts are choices more: the gate of each is Σ of the chosen scores / scaling_factor, divided by what theirs are, scaled",
        "sglang moe_fused_gate, num_fused_shared_experts")]
    public int SharedChoices { get; init; }
    [Means("where the gate multiplies")] public GatePlace ApplyGateTo { get; init; }
    [Means("gates get a gradient through the dispatch as well", "st_moe_pytorch")] public bool StraightThrough { get; init; }

    // Experts
    [Means("non-linearity of the experts")] public ExpertActivation Activation { get; init; }
    [Means("experts have a gate projection")] public bool GatedExperts { get; init; }
    [Means("slope of the clamped sigmoid")] public double ActivationAlpha { get; init; } = 1.702;
    [Means("what the clamped activation adds to the other half", "TensorRT-LLM swiglu_beta")] public double ActivationBeta { get; init; } = 1;
    [Means("limit of the clamped activations")] public double ActivationLimit { get; init; } = 7;
    [Means("cap c of the gate in swiglu_softcapped: c·tanh(g/c); 0 is off", "transformers modeling_inkling2.py")]
    public double ActivationGateSoftcap { get; init; } = 4;
    [Means("cap c of the other half in swiglu_softcapped: c·tanh(u/c); 0 is off", "transformers modeling_inkling2.py")]
    public double ActivationUpSoftcap { get; init; } = 25;
    [Means("the shared expert's limit where it has its own; 0 is none", "transformers modeling_step3p7.py")] public double? SharedActivationLimit { get; init; }
    [Means("number format of the experts' products where it differs from the tokens'")] public NumberFormat? ExpertsDtype { get; init; }
    [Means("number format of the experts' non-linearity where it differs from their products'")] public NumberFormat? ActivationDtype { get; init; }
    [Means("number format of the sum over a token's choices where it differs from the tokens'")] public NumberFormat? SumDtype { get; init; }
    [Means("the last so many experts return their input", "transformers modeling_longcat_flash.py")] public int IdentityExperts { get; init; }
    [Means("the last so many experts are none: who chooses one gets gate 0", "transformers modeling_zaya.py")] public int NullExperts { get; init; }
    [Means("the routed experts live at a width of their own, between two projections that they share", "transformers modeling_nemotron_h.py")]
    public bool LatentExperts { get; init; }
    [Means("behind the first shared projection: RMS(z)∘w", "transformers modeling_muse_spark.py")] public bool ExpertsInNorm { get; init; }
    [Means("ε of that norm")] public double ExpertsInNormEpsilon { get; init; } = 1e-5;
    [Means("each expert's output o becomes RMS(o∘w) before its gate", "transformers modeling_muse_spark.py")] public bool ExpertsPostNorm { get; init; }
    [Means("ε of that norm")] public double ExpertsPostNormEpsilon { get; init; } = 1e-8;
    [Means("a learned row is added once to each token's sum", "transformers modeling_jetmoe.py")] public bool OutputBias { get; init; }
    [Means("factor on the sum of the routed experts; gates and shared experts are without it", "transformers modeling_laguna.py")]
    public double OutputScalingFactor { get; init; } = 1;
    [Means("a dense expert beside the routed ones")] public bool SharedExpert { get; init; }
    [Means("the shared expert has a sigmoid gate")] public bool SharedGate { get; init; }
    [Means("how the shared expert joins")] public SharedCombination SharedCombination { get; init; }
    [Means("from experts' outputs to the layer's")] public Combination Combination { get; init; }
    [Means("dropout of experts' outputs; evaluation multiplies by 1 − rate", "transformers modeling_nllb_moe.py")] public double TokenDropout { get; init; }

    // Losses
    [Means("balance loss")] public BalanceLoss Balance { get; init; }
    [Means("f of the product loss")] public BalanceCount BalanceCount { get; init; }
    [Means("P of the product loss")] public BalanceMass BalanceMass { get; init; }
    [Means("padding in the product loss")] public BalanceTokens BalanceTokens { get; init; }
    [Means("factor of the product loss")] public BalanceScale BalanceScale { get; init; }
    [Means("what the product loss is taken over")] public BalanceLevel BalanceLevel { get; init; }
    [Means("earlier micro-batches whose counts a global loss takes the mean with", "megatron router.py, global_aux_loss")]
    public int PreviousBatches { get; init; }
    [Means("when auxiliary losses are added")] public Phase LossPhase { get; init; } = Phase.Always;
    [Means("coefficient of the balance loss")] public double BalanceCoefficient { get; init; }
    [Means("coefficient of the balance loss in evaluation, where it differs")] public double? EvalBalanceCoefficient { get; init; }
    [Means("coefficient of a product loss by sequence beside the balance loss", "megatron router.py, moe_aux_loss_coeff as a list")]
    public double SequenceBalanceCoefficient { get; init; }
    [Means("coefficient of a global product loss beside the balance loss", "megatron router.py, moe_aux_loss_coeff as a list")]
    public double GlobalBalanceCoefficient { get; init; }
    [Means("half of the second choices' loss is added", "mesh moe.py, use_second_place_loss")] public bool SecondPlaceLoss { get; init; }
    [Means("micro-batches that the balance loss is divided by")] public int Microbatches { get; init; } = 1;
    [Means("divisor of the balance loss")] public LossDenominator LossDenominator { get; init; }
    [Means("Tutel's choice among its losses")] public LossChoice? Loss { get; init; }
    [Means("z-loss")] public ZLoss ZLoss { get; init; }
    [Means("when the z-loss is added")] public Phase ZPhase { get; init; } = Phase.Always;
    [Means("coefficient of the z-loss in effect", "Zoph et al. 2022, eq. 5")] public double ZCoefficient { get; init; }
    [Means("importance loss")] public ImportanceLoss Importance { get; init; }
    [Means("coefficient of the importance loss")] public double ImportanceCoefficient { get; init; }
    [Means("load loss")] public LoadLoss Load { get; init; }
    [Means("coefficient of the load loss")] public double LoadCoefficient { get; init; }
    [Means("coefficient of the product loss beside importance and load", "vmoe nn/routing.py")] public double GshardCoefficient { get; init; }
    [Means("the product loss is reported under the name gshard")] public bool GshardLoss { get; init; }
    [Means("coefficient of the entropy losses", "LIMoE, Mustafa et al. 2022, section 2.2")] public double EntropyCoefficient { get; init; }
    [Means("entropy losses per modality")] public bool EntropyLosses { get; init; }
    [Means("coefficient of the sparsity loss", "3m-asr balance_loss.py")] public double SparsityCoefficient { get; init; }
    [Means("coefficient of the loss on probability outside the chosen part", "hetu SAMGate.py")] public double AlignmentCoefficient { get; init; }
    [Means("coefficient of the ReLU router's L1 loss adapts to the wanted sparsity", "ReMoE, Wang et al. 2024, eq. 8")]
    public bool AdaptiveSparsity { get; init; }
    [Means("divisor of the variance in importance and load")] public Variance Variance { get; init; }
    [Means("number that guards the squared mean in importance and load")] public double VarianceEpsilon { get; init; }
    [Means("from layers to one loss")] public LayerReduction LayerReduction { get; init; }
    [Means("training beyond one pass and one loss")] public TrainingExtra TrainingExtra { get; init; }
    [Means("coefficient of the training extra")] public double ExtraCoefficient { get; init; } = 1;

    // Where tokens compete
    [Means("tokens a group, where the dialect itself splits them: 0 all, −1 a sequence")] public int GroupSize { get; init; }
    [Means("how many groups a positive size gives")] public GroupSplit GroupSplit { get; init; }
    [Means("copies of every expert on other devices, which ask for as many groups", "flaxformer moe_layers.py")] public int Replicas { get; init; } = 1;

    /// <summary>
    /// The dialect as it stands in one mode: what has a twin for evaluation is that twin, and the library's own padding switch has set the rules that it
    /// sets. A call holds this form (<see cref="RouterCall.Dialect"/>), so that no stage can read the other mode's number.
    /// </summary>
    public Dialect For(bool training)
    {
        var d = IgnorePadding == false
            ? this with { Padding = PaddingRule.Routed, PaddingLogits = PaddingLogits.Kept, BalanceTokens = BalanceTokens.All, IgnorePadding = null }
            : this;
        if (!d.HasTwins) return d;
        return d with
        {
            CapacityFactor = training ? CapacityFactor : EvalCapacityFactor ?? CapacityFactor,
            Policy = training ? Policy : EvalPolicy ?? Policy,
            Normalize = training ? Normalize : EvalNormalize ?? Normalize,
            BalanceCoefficient = training ? BalanceCoefficient : EvalBalanceCoefficient ?? BalanceCoefficient,
            EvalCapacityFactor = null,
            EvalPolicy = null,
            EvalNormalize = null,
            EvalBalanceCoefficient = null,
        };
    }

    /// <summary>The dialect with every loss's coefficient 0: the losses are there and weigh nothing.</summary>
    public Dialect WithoutLossCoefficients => LossCoefficients.Without(this);

    bool HasTwins => EvalCapacityFactor is not null || EvalPolicy is not null || EvalNormalize is not null || EvalBalanceCoefficient is not null;

    /// <summary>Whether later tokens can change what an earlier one gets.</summary>
    public Causality Causality => ChoosesAmongTokens || Score == Score.SoftmaxOverTokens || SeesOthersKeys
            || (CapacityFormula != CapacityFormula.None &&
                (BatchPrioritized || DropPolicy is DropPolicy.Score or DropPolicy.Logit || Order == RequestOrder.ChoiceMajor && K > 1))
        ? Causality.LooksAhead : Causality.Causal;

    /// <summary>
    /// Whether, in evaluation, what a token asks for and its gates come from its own row alone, and who is dropped from the requests and their order: then
    /// a text can be continued from a cache, for integers say whom its growth changes.
    /// </summary>
    public bool RoutesAlone => ChoosesAlone && Score != Score.SoftmaxOverTokens && !IsRandom(training: false) && Combination != Combination.MaskReadAsIndices
        && DroppedOutput is DroppedOutput.Zero or DroppedOutput.GateTimesInput && !LoadAtLastToken && !SeesOthersKeys
        && (CapacityFormula == CapacityFormula.None || !BatchPrioritized && DropPolicy is DropPolicy.Position or DropPolicy.None);

    /// <summary>Whether a token's logits are made from other tokens.</summary>
    bool SeesOthersKeys => Router == RouterForm.ProductKeys && KeySplit == KeySplit.Pooled;

    bool ChoosesAmongTokens => Selection switch
    {
        Selection.ExpertChoice or Selection.Sinkhorn or Selection.Auction or Selection.OptimalAssignment or Selection.OptimalTransport
            or Selection.Batchwise or Selection.SlotMixture => true,
        Selection.TopK or Selection.OnePerPrototype or Selection.BestPartThenTopK or Selection.Quantile or Selection.PositiveScores
            or Selection.SparseMixer or Selection.HashTable or Selection.PlaceTable or Selection.TaskTable or Selection.PolicySample or Selection.All
            or Selection.Cascade
            or Selection.ExhaustionAware or Selection.TwoLevel or Selection.DynamicTopK or Selection.BinaryCode or Selection.Random
            or Selection.TwoLevelCapacity => false,
        _ => throw new InvalidOperationException($"unknown selection {Selection}"),
    };

    bool ChoosesAlone => !ForceBalance && Selection switch
    {
        Selection.TopK or Selection.OnePerPrototype or Selection.BestPartThenTopK or Selection.Sinkhorn or Selection.Quantile or Selection.PositiveScores
            or Selection.SparseMixer or Selection.HashTable or Selection.TaskTable or Selection.PolicySample or Selection.All => true,
        Selection.ExpertChoice or Selection.Cascade or Selection.ExhaustionAware or Selection.TwoLevel or Selection.Auction or Selection.OptimalAssignment
            or Selection.OptimalTransport or Selection.Batchwise or Selection.DynamicTopK or Selection.BinaryCode or Selection.Random or Selection.SlotMixture
            or Selection.TwoLevelCapacity or Selection.PlaceTable => false,
        _ => throw new InvalidOperationException($"unknown selection {Selection}"),
    };

    /// <summary>Whether two calls with the same tokens can route them differently.</summary>
    public bool IsRandom(bool training)
    {
        var call = new RouterCall { Dialect = this, Groups = 1, Size = 1, Experts = 1, Training = training };
        return DrawKinds.All.Any(kind => kind.IsUsed(call));
    }

    /// <summary>Whether a balance loss reads counts that the call itself does not have.</summary>
    public bool CountsElsewhere =>
        Balance == BalanceLoss.Product
        && (BalanceLevel == BalanceLevel.RankShare || PreviousBatches > 0 && (BalanceLevel == BalanceLevel.Global || GlobalBalanceCoefficient != 0));

    /// <summary>Something happens in this phase.</summary>
    public static bool In(Phase phase, bool training) => phase == Phase.Always || phase == (training ? Phase.Training : Phase.Evaluation);

    public override string ToString() => Name;
}
