namespace SparseExperts.Routing;

/// <summary>Which values contradict each other. Every refusal names the axis, the value and the remedy.</summary>
public static class DialectRules
{
    /// <summary>What can be said without knowing the number of experts.</summary>
    public static void Check(Dialect d)
    {
        if (DialectAxis.All.FirstOrDefault(a => !a.IsKnown(d)) is { } axis)
            throw new DialectException($"{d.Name}: {axis.Name} has no value {axis.Get(d)}: choose one of {string.Join(", ", axis.Values.Select(v => v.Name))}");
        Require(d, d.K >= 1, "k", d.K, "at least 1");
        Require(d, d.K == 1 || d.Selection is not (Selection.Auction or Selection.OptimalAssignment or Selection.TaskTable or Selection.Random
                or Selection.PolicySample),
            "k", d.K, $"1, for selection {Named(d, "selection")} gives one expert a token");
        Require(d, d.K == 2 || d.Selection is not (Selection.ExhaustionAware or Selection.TwoLevelCapacity or Selection.SparseMixer),
            "k", d.K, $"2, which is all that selection {Named(d, "selection")} defines");
        Require(d, d.GroupsKept >= 1 && d.GroupsKept <= d.Groups, "groups_kept", d.GroupsKept, $"between 1 and groups = {d.Groups}");
        Require(d, d.Groups >= 1, "groups", d.Groups, "at least 1");
        Require(d, double.IsFinite(d.CapacityFactor) && double.IsFinite(d.EvalCapacityFactor ?? 0), "capacity_factor", d.CapacityFactor, "a finite number");
        Require(d, d.Capacity is null or >= 0, "capacity", d.Capacity, "0 or more slots");
        Require(d, d.MinCapacity >= 0, "min_capacity", d.MinCapacity, "0 or more slots");
        Require(d, d.Alignment >= 1, "alignment", d.Alignment, "at least 1");
        Require(d, d.CapacityMultiple >= 0, "capacity_multiple", d.CapacityMultiple, "0 (off) or more");
        Require(d, d.Jitter is >= 0 and < 1, "jitter", d.Jitter, "within [0, 1)");
        Require(d, d.InputDropout is >= 0 and < 1, "input_dropout", d.InputDropout, "within [0, 1)");
        Require(d, d.TokenDropout is >= 0 and < 1, "token_dropout", d.TokenDropout, "within [0, 1)");
        Require(d, d.SecondPlaceProbability is >= 0 and <= 1, "second_place_probability", d.SecondPlaceProbability, "within [0, 1]");
        Require(d, d.Temperature >= 0 && double.IsFinite(d.Temperature), "temperature", d.Temperature, "0 or more");
        Require(d, d.Microbatches >= 1, "microbatches", d.Microbatches, "at least 1");
        Require(d, d.PreviousBatches >= 0, "previous_batches", d.PreviousBatches, "0 or more");
        Require(d, d.SequenceBalanceCoefficient == 0 || d.Balance == BalanceLoss.Product,
            "sequence_balance_coefficient", d.SequenceBalanceCoefficient, "0, unless balance is product, whose f and P it is made of");
        Require(d, d.GlobalBalanceCoefficient == 0 || d.Balance == BalanceLoss.Product,
            "global_balance_coefficient", d.GlobalBalanceCoefficient, "0, unless balance is product, whose f and P it is made of");
        Require(d, !d.PadToCapacity || d.CapacityFormula != CapacityFormula.None, "pad_to_capacity", true, "false: there is no capacity to fill up to");
        Require(d, !d.ForceBalance || d.Selection == Selection.TopK && d.Gate != Gate.RankedScore,
            "force_balance", true, "false, unless the k best experts of a ranking would be chosen");
        Require(d, d.IdentityExperts >= 0, "identity_experts", d.IdentityExperts, "0 or more");
        Require(d, d.Replicas >= 1, "replicas", d.Replicas, "at least 1");
        Require(d, d.Replicas == 1 || d.GroupSplit == GroupSplit.MultipleOfExperts, "replicas", d.Replicas, "1, unless group_split is multiple_of_experts");
        Require(d, d.NoiseStd >= 0, "noise_std", d.NoiseStd, "0 or more");
        Require(d, d.Score != Score.SoftmaxOverTokens || d.Selection is Selection.ExpertChoice or Selection.OptimalTransport,
            "score", "softmax_over_tokens", "softmax, unless experts choose");
        Require(d, !d.BatchPrioritized || d.DropPolicy == DropPolicy.Position,
            "batch_prioritized", true, "false with this drop_policy: only positions have an order");
        Require(d, d.Loss != LossChoice.LoadImportance || d.Noise == LogitNoise.NormalPerExperts,
            "loss", "load_importance", "gshard: the load loss needs noise_std > 0");
        Require(d, d.Load is LoadLoss.None or LoadLoss.ExcludingItself || d.Noise == LogitNoise.NormalPerExperts,
            "load", Named(d, "load"), "another load loss, or set noise normal_per_experts, whose deviation it is made of");
        Require(d, d.Router == RouterForm.SlotSimilarity == (d.Selection == Selection.SlotMixture),
            "router", Named(d, "router"), $"another one with selection {Named(d, "selection")}: slot_similarity and slot_mixture belong together");
        Require(d, d.Router == RouterForm.TwoLevel == (d.Selection == Selection.TwoLevel),
            "router", Named(d, "router"), $"another one with selection {Named(d, "selection")}: the two_level ones belong together");
        Require(d, d.Router != RouterForm.Constant || d.Selection == Selection.BinaryCode,
            "router", "constant", $"another one with selection {Named(d, "selection")}: free numbers serve binary_code alone");
        Require(d, d.Selection is not (Selection.SlotMixture or Selection.TwoLevelCapacity)
                || d.CapacityFormula is not (CapacityFormula.None or CapacityFormula.UnlessZero),
            "capacity_formula", Named(d, "capacity_formula"), "one that says how many slots an expert has");
        Require(d, d.LayerReduction != LayerReduction.Pooled || d.Selection != Selection.DynamicTopK,
            "layer_reduction", "pooled", "sum or mean: with selection dynamic_top_k every layer has another number of choices");
        Require(d, !d.SecondPlaceLoss || d.Selection is Selection.TopK or Selection.ExhaustionAware,
            "second_place_loss", true, "false: only a ranking has second places");
        Require(d, d.TrainingExtra != TrainingExtra.Reinforce || d.Selection == Selection.PolicySample,
            "training_extra", "reinforce", "none, or selection policy_sample, whose one choice is rewarded");
        CheckRoutedOnly(d);
        Require(d, d.NullExperts >= 0, "null_experts", d.NullExperts, "0 or more");
        Require(d, d.NullExperts == 0 || d.IdentityExperts == 0, "null_experts", d.NullExperts, "0: with identity experts nobody knows which come last");
        Require(d, d.NullExperts == 0 || d.CapacityFormula == CapacityFormula.None && d.Selection == Selection.TopK,
            "null_experts", d.NullExperts, "0: only tokens that take their best experts without capacity can choose none");
        Require(d, d.ProductKeys >= 0, "product_keys", d.ProductKeys, "0 (the root of the experts) or more");
        Require(d, !d.SharedInGates || d is { SharedExpert: true, Normalize: Normalize.Sum, Score: not Score.SoftmaxPost, Gate: Gate.Score },
            "shared_in_gates", true, "false, or shared_expert, normalize sum, gate score and scores over all experts: the sum holds both");
        Require(d, !d.ExpertsInNorm && !d.ExpertsPostNorm || d.LatentExperts, "latent_experts", false, "true: their norms stand at the experts' own width");
        Require(d, !d.LatentExperts || d is { Combination: Combination.Gated, DroppedOutput: DroppedOutput.Zero, IdentityExperts: 0 },
            "latent_experts", true, "false: this combination needs experts of the tokens' width");
        Require(d, d.RouterNormEpsilon >= 0 && d.ExpertsInNormEpsilon >= 0 && d.ExpertsPostNormEpsilon >= 0,
            "router_norm_epsilon", d.RouterNormEpsilon, "0 or more in every norm");
        Require(d, d.LogitsSoftcap >= 0 && d.ActivationLimit >= 0 && d.ActivationGateSoftcap > 0 && d.ActivationUpSoftcap > 0,
            "logits_softcap", d.LogitsSoftcap, "0 (off) or more, activation_limit likewise, and activation soft caps above 0");
        Require(d, d.Router is not (RouterForm.Mlp or RouterForm.ProductKeys)
                || d.Selection is not (Selection.HashTable or Selection.TaskTable or Selection.Random),
            "router", Named(d, "router"), $"none with selection {Named(d, "selection")}, which no logit decides");
        Require(d, d.GatedExperts || !d.Activation.IsLimited(), "activation", Named(d, "activation"), "another one, or set gated_experts");
        Require(d, d.Gate != Gate.NearWinner || d.Selection == Selection.SparseMixer,
            "gate", "near_winner", "another one: only selection sparse_mixer says who is near");
        Require(d, d.Gate != Gate.RankedScore || d.Selection is Selection.TopK or Selection.ExhaustionAware,
            "gate", "ranked_score", "score: only the best experts of a ranking have ranked scores");
        Require(d, d.Combination != Combination.MaskReadAsIndices || d is { Selection: Selection.TopK, K: 2 },
            "combination", "mask_read_as_indices", "gated, unless each token takes its k = 2 best experts");
        Require(d, d.ApplyGateTo == GatePlace.Output || d.Combination != Combination.Interpolated && d.DroppedOutput != DroppedOutput.CollidingSlot,
            "apply_gate_to", Named(d, "apply_gate_to"), "output: this combination multiplies outputs");
        Require(d, d.Policy is Policy.All or Policy.None || d.Selection is not (Selection.Cascade or Selection.DynamicTopK),
            "policy", Named(d, "policy"), $"all: selection {Named(d, "selection")} decides itself how many experts a token gets");
        Require(d, d.Selection != Selection.OnePerPrototype || d.Score is Score.SoftmaxPerPrototype or Score.Softmax,
            "score", Named(d, "score"), "softmax_per_prototype for one expert per prototype");
    }

    /// <summary>What depends on the number of experts.</summary>
    public static void Check(Dialect d, int experts)
    {
        Check(d);
        var inside = experts / d.Groups;
        var repeats = d.Taken == Taken.Zeroed || (d.LaterBy ?? d.SelectBy) != d.SelectBy
            || d.Policy == Policy.Sample || d.Selection == Selection.ExhaustionAware;
        Require(d, d.K <= experts || d.Selection is Selection.ExpertChoice or Selection.HashTable or Selection.SlotMixture || repeats && d.K <= experts + 1,
            "k", d.K, $"at most the {experts} experts");
        Require(d, experts % d.Groups == 0, "groups", d.Groups, $"a divisor of the {experts} experts");
        if (d.Selection is Selection.TwoLevel or Selection.BestPartThenTopK) Require(d, d.K <= inside, "k", d.K, $"at most the {inside} experts of a group");
        if (d.Selection == Selection.TwoLevelCapacity)
            Require(d, inside >= 2 && d.Groups >= 2, "groups", d.Groups, $"at least 2, with at least 2 of the {experts} experts in each");
        if (d.Selection == Selection.TopK && d.Groups > d.GroupsKept && d.GroupMask == GroupMask.MinusInfinity)
            Require(d, d.K <= inside * d.GroupsKept, "k", d.K, $"at most the {inside * d.GroupsKept} experts of the kept groups");
        if (d.Selection == Selection.OnePerPrototype || d.Score == Score.SoftmaxPerPrototype) Require(d, experts % d.K == 0,
            "k", d.K, $"a divisor of the {experts} experts");
        Require(d, d.NullExperts < experts, "null_experts", d.NullExperts, $"fewer than the {experts} experts");
        if (d.Router == RouterForm.ProductKeys) CheckKeys(d, experts);
        Require(d, d.IdentityExperts < experts, "identity_experts", d.IdentityExperts, $"fewer than the {experts} experts");
        if (d.Combination == Combination.MaskReadAsIndices) Require(d, experts >= 2, "experts", experts, "at least 2: the mask's 0 and 1 are read as experts");
        if (d.Selection == Selection.Auction) Require(d, experts >= 2, "experts", experts, "at least 2 for the auction");
    }

    static readonly string[] OfRoutedLayers =
    [
        "router_norm", "logits_scale", "logits_softcap", "expert_scale", "global_scale",
        "shared_in_gates", "latent_experts", "output_bias", "output_scaling_factor", "shared_expert", "shared_gate",
    ];

    /// <summary>What only the stages of an ordinary routed layer read.</summary>
    static void CheckRoutedOnly(Dialect d)
    {
        if (d.Selection is not (Selection.TwoLevel or Selection.BinaryCode or Selection.SlotMixture or Selection.TwoLevelCapacity)) return;
        var remedy = $"its default with selection {Named(d, "selection")}, whose layer does not read it";
        foreach (var axis in OfRoutedLayers) Require(d, DialectAxis.Find(axis)!.IsDefault(d), axis, Named(d, axis), remedy);
        Require(d, d.Router is not (RouterForm.Mlp or RouterForm.ProductKeys),
            "router", Named(d, "router"), $"another one with selection {Named(d, "selection")}");
    }

    /// <summary>The least number of experts, from the given one on, that the dialect can have: a square where two lists of keys name them.</summary>
    public static int Fitting(Dialect d, int experts)
    {
        if (d.Router != RouterForm.ProductKeys) return experts;
        var keys = d.ProductKeys > 0 ? d.ProductKeys : (int)Math.Ceiling(Math.Sqrt(experts));
        return keys * keys;
    }

    static void CheckKeys(Dialect d, int experts)
    {
        var keys = d.ProductKeys > 0 ? d.ProductKeys : (int)Math.Sqrt(experts);
        Require(d, keys * keys == experts, "product_keys", d.ProductKeys, $"the root of the {experts} experts, and a square number of experts");
    }

    /// <summary>What runs but cannot learn; a recorded call may be like that, a new dialect and a training may not.</summary>
    public static void CheckTrainable(Dialect d)
    {
        var ranksOnly = d.Selection == Selection.TopK && d.Gate == Gate.Score && d.Load == LoadLoss.None;
        Require(d, !(ranksOnly && d.K == 1 && d.Score == Score.SoftmaxPost),
            "score", "softmax_post", "softmax for k = 1: a softmax over one chosen logit is always 1 and the router learns nothing");
        Require(d, !(ranksOnly && d.K == 1 && d.Normalize is Normalize.Sum or Normalize.BeforeDrop && d.NormalizeSingle),
            "normalize", Named(d, "normalize"), "none for k = 1: one gate over itself is always 1 and the router learns nothing");
    }

    static string Named(Dialect d, string axis) => DialectAxis.Find(axis)!.Format(d)!;

    static void Require(Dialect d, bool condition, string axis, object? value, string remedy)
    {
        if (!condition) throw new DialectException(FormattableString.Invariant($"{d.Name}: {axis} {value}: choose {remedy}"));
    }
}
