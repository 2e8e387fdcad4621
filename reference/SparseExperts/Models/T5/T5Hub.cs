using System.Text.Json.Nodes;
using SparseExperts.Hub;
using SparseExperts.Routing;

namespace SparseExperts.Models;

/// <summary>Configurations of the hub's Switch Transformers and of this program's, from one to the other.</summary>
public static class T5Hub
{
    /// <summary>The model of a checkpoint, in the format that its weights are stored in; null where it is no Switch Transformer.</summary>
    public static T5Config? Of(HubFolder checkpoint) => checkpoint.Config is not HubSwitch hub ? null
        : Config(hub) with
        {
            Format = checkpoint.WeightFormat != NumberFormat.BFloat16 ? ModelFormat.Float32
                : hub.Dialect.RouterDtype == NumberFormat.BFloat16 ? ModelFormat.Bfloat16
                : ModelFormat.Selective,
        };

    /// <summary>The sizes, rules and ids of a configuration; dropout of experts is that of everything else.</summary>
    public static T5Config Config(HubSwitch hub) => new()
    {
        Vocabulary = hub.Vocabulary,
        Context = 512,
        TargetContext = 114,
        Width = hub.Width,
        Heads = hub.Heads,
        HeadWidth = hub.HeadWidth,
        Hidden = hub.Hidden,
        EncoderLayers = hub.Encoder.Count,
        DecoderLayers = hub.Decoder.Count,
        EncoderSparseStep = hub.EncoderStep,
        DecoderSparseStep = hub.DecoderStep,
        Experts = hub.Experts,
        Dialect = hub.Dialect,
        SparseStacksAreFree = true,
        Dropout = hub.Dropout,
        ExpertDropout = hub.Dropout,
        Activation = hub.Activation,
        TiedHead = hub.Tied,
        RelativeBuckets = hub.Buckets,
        RelativeMaxDistance = hub.MaxDistance,
        NormEpsilon = hub.NormEpsilon,
        StartId = hub.DecoderStart,
        PaddingId = hub.PadToken ?? 0,
        EndId = hub.EndTokens.Count > 0 ? hub.EndTokens[0] : 1,
    };

    /// <summary>The <c>config.json</c> that transformers reads the model with.</summary>
    /// <exception cref="ConfigurationException">Its library has no such model; one line.</exception>
    public static JsonObject ToJson(T5Config m)
    {
        Require(m.Experts > 0, "a dense model is no Switch Transformer");
        Require(!m.Gated, "its feed-forward layers have no gate");
        Require(m.Dialect.CapacityFormula == CapacityFormula.Given && m.Dialect.K == 1,
            $"its capacity is a number of slots and one expert a token, {m.Dialect.Name} has another rule; train with hf.switch.v4");
        return new()
        {
            ["architectures"] = new JsonArray("SwitchTransformersForConditionalGeneration"),
            ["model_type"] = "switch_transformers",
            ["is_encoder_decoder"] = true,
            ["vocab_size"] = m.Vocabulary,
            ["d_model"] = m.Width,
            ["d_kv"] = m.HeadWidth,
            ["d_ff"] = m.Hidden,
            ["num_heads"] = m.Heads,
            ["num_layers"] = m.EncoderLayers,
            ["num_decoder_layers"] = m.DecoderLayers,
            ["num_sparse_encoder_layers"] = Enumerable.Range(0, m.EncoderLayers).Count(i => m.IsSparse(decoder: false, i)),
            ["num_sparse_decoder_layers"] = Enumerable.Range(0, m.DecoderLayers).Count(i => m.IsSparse(decoder: true, i)),
            ["encoder_sparse_step"] = m.EncoderSparseStep,
            ["decoder_sparse_step"] = m.DecoderSparseStep,
            ["num_experts"] = m.Experts,
            ["expert_capacity"] = m.Dialect.Capacity,
            ["router_bias"] = false,
            ["router_dtype"] = "float32",
            ["router_jitter_noise"] = m.Dialect.Jitter,
            ["router_aux_loss_coef"] = m.Dialect.BalanceCoefficient,
            ["router_z_loss_coef"] = m.Dialect.ZCoefficient,
            ["router_ignore_padding_tokens"] = false,
            ["relative_attention_num_buckets"] = m.RelativeBuckets,
            ["relative_attention_max_distance"] = m.RelativeMaxDistance,
            ["dropout_rate"] = m.Dropout,
            ["layer_norm_epsilon"] = m.NormEpsilon,
            ["dense_act_fn"] = m.Activation switch
            {
                Activation.Relu => "relu",
                Activation.GeluTanh => "gelu_new",
                Activation.GeluErf => "gelu",
                Activation.Silu => "silu",
                var other => throw new ConfigurationException($"transformers' switch_transformers: activation {other} has no name there"),
            },
            ["tie_word_embeddings"] = m.TiedHead,
            ["pad_token_id"] = m.PaddingId,
            ["eos_token_id"] = m.EndId,
            ["decoder_start_token_id"] = m.StartId,
            ["transformers_version"] = "4.57.6",
        };
    }

    static void Require(bool condition, string why)
    {
        if (!condition) throw new ConfigurationException($"transformers' switch_transformers: {why}");
    }
}
